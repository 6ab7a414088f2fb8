#!/usr/bin/env python3
"""Mean and interval over calibration draws, from the run.json of manifests/study/calibration-seeds.toml.

    build/release/bin/assay run manifests/study/calibration-seeds.toml --out out
    python3 tests/bench/study_seeds.py out/run.json
"""
import json
import statistics
import sys

# Student's t, 97.5 %, by degrees of freedom: an interval over five draws has four.
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        run = json.load(file)
    values = {}
    for record in run["records"]:
        if record.get("group"):
            continue
        if (record["task"], record["metric"]) not in (("stories", "perplexity"), ("answers", "contains")):
            continue
        form = record["variant"].rsplit("-", 1)[0]
        values.setdefault((form, record["metric"]), []).append(record["value"])
    print(f"{'form':16}  {'metric':10}  {'n':>2}  {'mean':>8}  95 % interval over draws")
    for (form, metric), draws in sorted(values.items()):
        mean = statistics.fmean(draws)
        if len(draws) < 2:
            print(f"{form:16}  {metric:10}  {len(draws):2}  {mean:8.4g}")
            continue
        half = T[len(draws) - 1] * statistics.stdev(draws) / len(draws) ** 0.5
        print(f"{form:16}  {metric:10}  {len(draws):2}  {mean:8.4g}  {mean - half:.4g} to {mean + half:.4g}")


main()
