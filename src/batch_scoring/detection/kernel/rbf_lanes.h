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

/* Weighted sums over all support vectors of n windows at once, which share each load; n is a constant. */
INLINE void NAMED(weighted_sums)(const struct model *m, const double *z, int n, double *sums) {
    const doubles *sv = (const doubles *)m->sv, *weight = (const doubles *)m->weight;
    const int64_t width = m->n_blocks * PER_BLOCK;
    doubles total[ROWS_AT_ONCE][PER_BLOCK] = {{{0}}};
    for (int64_t b = 0; b < m->n_blocks; b++) {
        for (int h = 0; h < PER_BLOCK; h++) {
            const int64_t at = b * PER_BLOCK + h;
            doubles square[ROWS_AT_ONCE] = {{0}};
            for (int64_t k = 0; k < m->d; k++) {
                const doubles s = sv[k * width + at];
                for (int i = 0; i < n; i++) {
                    const doubles difference = s - z[k * ROWS_AT_ONCE + i];
                    square[i] = difference * difference + square[i];
                }
            }
            for (int i = 0; i < n; i++)
                total[i][h] = weight[at] * NAMED(power_of_two)(square[i] * m->rate) + total[i][h];
        }
    }
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
        for (int64_t row = begin; row < end; row += ROWS_AT_ONCE) {
            const int n = end - row < ROWS_AT_ONCE ? (int)(end - row) : ROWS_AT_ONCE;
            double sums[ROWS_AT_ONCE];
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
