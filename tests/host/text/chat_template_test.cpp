#include "host/text/text.hpp"
