// Everything an author of a plugin needs, in one include. Nothing else belongs here.
#pragma once

#include <assay/abi.h>

#include <assay/arrow.hpp>
#include <assay/backend.hpp>
#include <assay/backend_memory.hpp>
#include <assay/config_check.hpp>
#include <assay/context.hpp>
#include <assay/dataset.hpp>
#include <assay/dataset_rows.hpp>
#include <assay/declare.hpp>
#include <assay/error.hpp>
#include <assay/file.hpp>
#include <assay/metric.hpp>
#include <assay/metric_sums.hpp>
#include <assay/plugin.hpp>
#include <assay/reporter.hpp>
#include <assay/split.hpp>
#include <assay/template.hpp>
#include <assay/text.hpp>
#include <assay/text_backend.hpp>
#include <assay/tokenizer.hpp>
