/* The arithmetic of rbf_kernel.c for vectors of VECTOR_BYTES; included once for each width.
 *
 * A block is eight support vectors, one vector of 64 bytes or two of 32. The names made here end in the width.
 */
#define PER_BLOCK (64 / VECTOR_BYTES)
#define doubles NAMED(doubles)
#define integers NAMED(integers)

typedef double doubles __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t integers __attribute__((vector_size(VECTOR_BYTES)));

/* 2^t for t <= 0, to 3e-16 of its size.
 *
 * 2^n * 2^r with n = round(t). 2^r on [-1/2, 1/2] by the polynomial of degree 10 whose largest relative
 * error, 2.1e-16, is the least (Remez exchange).
 */
INLINE doubles NAMED(power_of_two)(doubles t) {
    const integers is_low = t < LOWEST;
    t = (doubles)((is_low & (integers)((doubles){0} + LOWEST)) | (~is_low & (integers)t));
    const doubles shifted = t + ROUNDER;
    const doubles r = t - (shifted - ROUNDER);
    doubles p = r * 0x1.e399d001a9be7p-28 + 0x1.b6740df8a09a3p-24;
    p = p * r + 0x1.62c15784d7b26p-20;
    p = p * r + 0x1.ffcb55ea263e8p-17;
    p = p * r + 0x1.4309126081b71p-13;
    p = p * r + 0x1.5d87fe9cc5221p-10;
    p = p * r + 0x1.3b2ab6fbde012p-7;
    p = p * r + 0x1.c6b08d703d490p-5;
    p = p * r + 0x1.ebfbdff82c3b9p-3;
    p = p * r + 0x1.62e42fefa3a17p-1;
    p = p * r + 1.0;
    /* n goes to the exponent's bits of 2^r. */
    return (doubles)((integers)p + ((integers)shifted << 52));
}

/* Add the weighted kernels of n windows with the support vectors of one or two vectors, from vector `at` on.
 *
 * n and n_vectors are constants, and the loops over them unrolled: without, the sums go through memory. Two
 * vectors at once keep more sums in flight than one sum takes cycles.
 */
INLINE void NAMED(add_vectors)(const struct model *m, const double *z, int n, int64_t at, int n_vectors,
                               doubles total[ROWS_AT_ONCE][PER_BLOCK]) {
    const doubles *sv = (const doubles *)m->sv + at, *weight = (const doubles *)m->weight + at;
    const int64_t width = m->n_blocks * PER_BLOCK;
    doubles square[2][ROWS_AT_ONCE] = {{{0}}};
    for (int64_t k = 0; k < m->d; k++, sv += width) {
#pragma GCC unroll ROWS_AT_ONCE
        for (int i = 0; i < n; i++) {
#pragma GCC unroll 2
            for (int h = 0; h < n_vectors; h++) {
                const doubles difference = sv[h] - z[k * ROWS_AT_ONCE + i];
                square[h][i] = difference * difference + square[h][i];
            }
        }
    }
#pragma GCC unroll 2
    for (int h = 0; h < n_vectors; h++) {
        doubles *sum = &total[0][h % PER_BLOCK];
#pragma GCC unroll ROWS_AT_ONCE
        for (int i = 0; i < n; i++, sum += PER_BLOCK)
            *sum = weight[h] * NAMED(power_of_two)(square[h][i] * m->rate) + *sum;
    }
}

/* Weighted sums over all support vectors of n windows at once; n is a constant. */
INLINE void NAMED(weighted_sums)(const struct model *m, const double *z, int n, double *sums) {
    const int64_t width = m->n_blocks * PER_BLOCK;
    doubles total[ROWS_AT_ONCE][PER_BLOCK] = {{{0}}};
    int64_t at = 0;
    for (; at + 2 <= width; at += 2) NAMED(add_vectors)(m, z, n, at, 2, total);
    if (at < width) NAMED(add_vectors)(m, z, n, at, 1, total);
#pragma GCC unroll ROWS_AT_ONCE
    for (int i = 0; i < n; i++) {
        double x[LANES];
        memcpy(x, total[i], sizeof x);
        sums[i] = ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7]));
    }
}

INLINE void NAMED(score_range)(const struct fleet *f, int64_t first, int64_t last, double *scratch) {
    for (int64_t i = first; i < last; i++) {
        const int64_t begin = f->row_offsets[i], end = f->row_offsets[i + 1];
        if (begin == end) continue;
        struct model m;
        double *z = load_model(f, i, scratch, &m);
        const double *next = f->support_vectors + f->sv_offsets[i + 1] * f->d;
        const double *after_next = f->support_vectors + f->sv_offsets[i + 1 < last ? i + 2 : i + 1] * f->d;
        for (int64_t row = begin; row < end; row += ROWS_AT_ONCE) {
            const int n = end - row < ROWS_AT_ONCE ? (int)(end - row) : ROWS_AT_ONCE;
            double sums[ROWS_AT_ONCE];
            next = fetch_ahead(next, after_next, end - row);
            scale_rows(f, i, row, n, z);
            if (n == ROWS_AT_ONCE)
                NAMED(weighted_sums)(&m, z, ROWS_AT_ONCE, sums);
            else
                for (int j = 0; j < n; j++) NAMED(weighted_sums)(&m, z + j, 1, sums + j);
            for (int j = 0; j < n; j++) f->scores[row + j] = sums[j] - f->rho[i];
        }
    }
}

#undef PER_BLOCK
#undef doubles
#undef integers
