/* The decision functions of many RBF models, eight support vectors at a time.
 *
 * Plain C with GCC's and Clang's vector extensions, called through ctypes: no Python, no NumPy headers.
 * The same arithmetic (rbf_lanes.h) is compiled for several processors, and the best one is chosen at run
 * time. All of them compute with eight lanes, fused multiply-adds and one order of sums: the same bits.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8
enum { ROWS_AT_ONCE = 4 }; /* no macro: the pragmas that unroll do not expand one */
#if defined(_WIN32)
#include <malloc.h>
#define EXPORT __declspec(dllexport)
#define allocate_aligned(size) _aligned_malloc(size, 64)
#define free_aligned _aligned_free
#else
#define EXPORT __attribute__((visibility("default")))
#define allocate_aligned(size) aligned_alloc(64, size)
#define free_aligned free
#endif
#define INLINE static inline __attribute__((always_inline))

/* 1.5 * 2^52: adding it rounds to an integer, which then is in the low bits of the sum. */
#define ROUNDER 0x1.8p52
#define LOG2_E 0x1.71547652b82fep+0
/* Below this 2^t is no normal number; it adds nothing to a sum either way. */
#define LOWEST -1022.0

/* D models over d features and their n rows, as `RbfModels` and the kernel's docstring describe them. */
struct fleet {
    int64_t d;
    const double *mean, *scale, *gamma, *rho;
    const int64_t *sv_offsets;
    const double *support_vectors, *dual_coef;
    const int64_t *row_offsets;
    const double *rows;
    double *scores;
    int32_t *top_features;
};

/* One model made ready: support vectors feature by feature, filled up to whole blocks with weight zero. */
struct model {
    int64_t d, n_blocks;
    const double *sv, *weight;
    double rate; /* 2^(rate * square of the distance) is the kernel */
};

static int64_t blocks_of(const struct fleet *f, int64_t model) {
    return (f->sv_offsets[model + 1] - f->sv_offsets[model] + LANES - 1) / LANES;
}

/* Doubles that load_model needs for the largest of models first .. last - 1. */
static size_t scratch_size(const struct fleet *f, int64_t first, int64_t last) {
    int64_t most = 1;
    for (int64_t i = first; i < last; i++)
        if (blocks_of(f, i) > most) most = blocks_of(f, i);
    return (size_t)(most * LANES * (f->d + 1) + f->d * (ROWS_AT_ONCE + 1));
}

typedef double quad __attribute__((vector_size(32)));

#if defined(__has_builtin)
#define HAS_SHUFFLES __has_builtin(__builtin_shufflevector)
#else
#define HAS_SHUFFLES 0
#endif

#if HAS_SHUFFLES
INLINE quad load_quad(const double *at) {
    quad q;
    memcpy(&q, at, sizeof q);
    return q;
}

/* Store four support vectors feature by feature: single stores would take as long as the sums. */
INLINE void transpose_four(const double *from, int64_t d, double *to, int64_t width) {
    int64_t k = 0;
    for (; k + 4 <= d; k += 4) {
        const double *at = from + k;
        const quad a = load_quad(at), b = load_quad(at + d), c = load_quad(at + 2 * d), e = load_quad(at + 3 * d);
        const quad even_ab = __builtin_shufflevector(a, b, 0, 4, 2, 6);
        const quad even_ce = __builtin_shufflevector(c, e, 0, 4, 2, 6);
        const quad odd_ab = __builtin_shufflevector(a, b, 1, 5, 3, 7);
        const quad odd_ce = __builtin_shufflevector(c, e, 1, 5, 3, 7);
        const quad columns[4] = {__builtin_shufflevector(even_ab, even_ce, 0, 1, 4, 5),
                                 __builtin_shufflevector(odd_ab, odd_ce, 0, 1, 4, 5),
                                 __builtin_shufflevector(even_ab, even_ce, 2, 3, 6, 7),
                                 __builtin_shufflevector(odd_ab, odd_ce, 2, 3, 6, 7)};
        for (int i = 0; i < 4; i++) memcpy(to + (k + i) * width, &columns[i], sizeof(quad));
    }
    for (; k < d; k++)
        for (int i = 0; i < 4; i++) to[k * width + i] = from[i * d + k];
}
#endif

/* Fill m, and return the place for the scaled rows. */
INLINE double *load_model(const struct fleet *f, int64_t i, double *scratch, struct model *m) {
    const int64_t first = f->sv_offsets[i], n = f->sv_offsets[i + 1] - first, d = f->d;
    const int64_t n_blocks = blocks_of(f, i), width = n_blocks * LANES;
    const double *from = f->support_vectors + first * d;
    double *sv = scratch, *weight = sv + width * d;
    int64_t j = 0;
#if HAS_SHUFFLES
    for (; j + 4 <= n; j += 4) transpose_four(from + j * d, d, sv + j, width);
#endif
    for (; j < n; j++)
        for (int64_t k = 0; k < d; k++) sv[k * width + j] = from[j * d + k];
    for (int64_t k = 0; k < d; k++)
        for (int64_t j = n; j < width; j++) sv[k * width + j] = 0.0;
    memcpy(weight, f->dual_coef + first, sizeof(double) * (size_t)n);
    for (j = n; j < width; j++) weight[j] = 0.0;
    *m = (struct model){d, n_blocks, sv, weight, -f->gamma[i] * LOG2_E};
    return weight + width;
}

/* Scale n rows as model i does, feature by feature into z, and note the feature farthest from its mean. */
INLINE void scale_rows(const struct fleet *f, int64_t i, int64_t row, int n, double *z) {
    const int64_t d = f->d;
    const double *mean = f->mean + i * d, *scale = f->scale + i * d;
    double *scaled = z + d * ROWS_AT_ONCE;
    for (int j = 0; j < n; j++) {
        const double *x = f->rows + (row + j) * d;
        for (int64_t k = 0; k < d; k++) scaled[k] = (x[k] - mean[k]) / scale[k];
        double farthest = -1.0;
        int32_t top = 0;
        for (int64_t k = 0; k < d; k++) {
            z[k * ROWS_AT_ONCE + j] = scaled[k];
            if (__builtin_fabs(scaled[k]) > farthest) {
                farthest = __builtin_fabs(scaled[k]);
                top = (int32_t)k;
            }
        }
        f->top_features[row + j] = top;
    }
}

/* Bring the support vectors of the next model into the cache, a share with each group of rows; return how far. */
INLINE const double *fetch_ahead(const double *from, const double *to, int64_t rows) {
    const int64_t groups = (rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    const double *until = from + (to - from + groups - 1) / groups;
    for (; from < until; from += 8) __builtin_prefetch(from, 0, 2);
    return from;
}

#define JOIN(a, b) a##_##b
#define NAME(a, b) JOIN(a, b)
#define NAMED(name) NAME(name, VECTOR_BYTES)

#define VECTOR_BYTES 64
#include "rbf_lanes.h"
#undef VECTOR_BYTES
#define VECTOR_BYTES 32
#include "rbf_lanes.h"
#undef VECTOR_BYTES

typedef void scorer(const struct fleet *, int64_t, int64_t, double *);

struct choice {
    const char *name;
    scorer *score;
};

#if defined(__x86_64__)
__attribute__((target("avx512f,fma"))) static void score_avx512(const struct fleet *f, int64_t first,
                                                                int64_t last, double *scratch) {
    score_range_64(f, first, last, scratch);
}
__attribute__((target("avx2,fma"))) static void score_avx2(const struct fleet *f, int64_t first, int64_t last,
                                                           double *scratch) {
    score_range_32(f, first, last, scratch);
}
/* Without fused multiply-add there would be other bits; such a processor is left to NumPy. */
static struct choice best(int bits) {
    __builtin_cpu_init();
    if (bits >= 512 && __builtin_cpu_supports("avx512f")) return (struct choice){"avx512f", score_avx512};
    if (bits >= 256 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct choice){"avx2", score_avx2};
    return (struct choice){"", 0};
}
#elif defined(__aarch64__)
static void score_neon(const struct fleet *f, int64_t first, int64_t last, double *scratch) {
    score_range_32(f, first, last, scratch);
}
static struct choice best(int bits) {
    return bits >= 256 ? (struct choice){"neon", score_neon} : (struct choice){"", 0};
}
#else
static struct choice best(int bits) { return (struct choice){bits > 0 ? "" : "", 0}; }
#endif

/* The instruction set that scores here with vectors of at most `bits` bits; empty where none does. */
EXPORT const char *instruction_set(int bits) { return best(bits).name; }

/* Score the rows of models first .. last - 1. Returns 0; 1 for want of memory, 2 for want of a processor. */
EXPORT int score_models(const struct fleet *f, int64_t first, int64_t last, int bits) {
    scorer *score = best(bits).score;
    if (!score) return 2;
    const size_t size = sizeof(double) * scratch_size(f, first, last);
    double *scratch = allocate_aligned((size + 63) / 64 * 64);
    if (!scratch) return 1;
    score(f, first, last, scratch);
    free_aligned(scratch);
    return 0;
}
