// What a library says of itself.

#include <cstdint>

#include "operator.h"

// Which sources it was made of; see build.py.
RLLIB_RECATTN_EXPORT const char* made_of() { return RLLIB_RECATTN_SOURCES; }

// Whether this processor has the instructions of a level of x86-64, 2 to 4; of others there is one library each.
RLLIB_RECATTN_EXPORT int64_t supports(int64_t level) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  const bool v3 = v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return level <= 2 ? v2 : level == 3 ? v3 : v4;
#else
  (void)level;
  return 1;
#endif
}
