// base^exponent for a positive base: the same bits on every machine, as of core/exp.h and core/log.h, which the library's pow
// does not promise. The relative error grows with |exponent log(base)|: 4 units in the last place for each of it, and 4 more.
#pragma once

#include "core/exp.h"
#include "core/log.h"

namespace coremax {

inline double portable_power(double base, double exponent) { return portable_exp(exponent * portable_log(base)); }

}  // namespace coremax
