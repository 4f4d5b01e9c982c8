// COREMAX_HD marks the functions that the engines on the CPU and the kernels on a device share, so that both give the same
// bits. It means something to nvcc alone.
#pragma once

#if defined(__CUDACC__)
#define COREMAX_HD __host__ __device__
#else
#define COREMAX_HD
#endif
