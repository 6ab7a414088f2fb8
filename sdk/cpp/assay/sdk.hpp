// Everything an author of a plugin needs, in one include. Nothing else belongs here.
#pragma once

#include <assay/abi.h>

#include <assay/arrow.hpp>
#include <assay/backend.hpp>
#include <assay/config_check.hpp>
#include <assay/context.hpp>
#include <assay/dataset.hpp>
#include <assay/declare.hpp>
#include <assay/error.hpp>
#include <assay/extension.hpp>
#include <assay/file.hpp>
#include <assay/metric.hpp>
#include <assay/plugin.hpp>
#include <assay/reporter.hpp>
#include <assay/split.hpp>
#include <assay/text.hpp>
