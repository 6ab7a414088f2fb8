// Everything about Arrow in one include: types, owners, reading, building, streams. No more than
// that; rows by column name are in sample.hpp.
#pragma once

#include <assay/arrow/builder.hpp>
#include <assay/arrow/check.hpp>
#include <assay/arrow/field.hpp>
#include <assay/arrow/holder.hpp>
#include <assay/arrow/stream.hpp>
#include <assay/arrow/view.hpp>
