// The two things that event-driven recursive least squares does with a stored P, for each way to store it: twin of
// kernels/cpu/rls_storage.py. With packed P the bits are those of full P.
#pragma once
#include "rls.cuh"

#define ROWS 8          // of P, per thread, that share the loads of the held-back updates
#define LANES 16        // of a block of g
#define QUAD 4          // columns of a strip of a packed P
#define CODE_SCALE ((float)(1.0 / CODE_ONE))
#define CODE_ROOT ((float)CODE_ROOT_DOUBLE)
#define CODE_INVERSE_ROOT ((float)(1.0 / CODE_ROOT_DOUBLE))

// What a block keeps of its pool, in shared memory where it fits.
struct Scratch {
    float *r, *k, *delta;
    int* changed;
    float* g;  // null if it stays where it is
};

// Place of element j of held-back update i.
__device__ __forceinline__ int place(const Sizes& z, int j, int i) { return (j / LANES * z.rank + i) * LANES + j % LANES; }

// x - sum_i g_i[a + m] g_i[j], for ROWS rows, or columns.
__device__ __forceinline__ void without_held_products(float (&x)[ROWS], const float* g, const Sizes& z, int held, int a, int j) {
    const float *rows = g + place(z, a, 0), *columns = g + place(z, j, 0);
    for (int i = 0; i < held * LANES; i += LANES) {
        const float v = columns[i];
        #pragma unroll
        for (int m = 0; m < ROWS; ++m) x[m] = fmaf(-rows[i + m], v, x[m]);
    }
}

// ROWS rows of a triangle from row a on, in column j; or ROWS columns in row j.
struct Item {
    int a, j;
};

// One of the items of a triangle whose rows begin at the diagonal's block of `unit`. The longest rows are taken with the shortest, so
// that there are width / (2 ROWS) pairs of width + unit items each, and all threads have as much to do.
__device__ __forceinline__ Item of_triangle(const Sizes& z, int item, int unit) {
    const int pair = item / (z.width + unit), upper = pair * ROWS, lower = z.width - ROWS - upper;
    const int j = upper / unit * unit + item % (z.width + unit);
    return j < z.width ? Item{upper, j} : Item{lower, j - z.width + lower / unit * unit};
}

struct alignas(16) Quad {
    float of[QUAD];
};

// All of P in float32: (input, width).
struct Full {
    float* p;
};

__device__ __forceinline__ Full of_pool(Full, const State& state, const Sizes& z, int pool) {
    return {(float*)state.p + (size_t)pool * z.n_inputs * z.width};
}

// rho q + sum_m delta_m P[changed_m, :]
__device__ __forceinline__ void add_columns(
    const Full& p, float* q, float rho, const Scratch& s, const Sizes& z, int count) {
    for (int j = threadIdx.x; j < z.width; j += blockDim.x) {
        float x = rho * q[j];
        for (int m = 0; m < count; ++m) x = fmaf(s.delta[m], p.p[(size_t)s.changed[m] * z.width + j], x);
        q[j] = x;
    }
}

// P <- P - sum_i g_i g_i': the upper triangle, written a second time where it is mirrored.
__device__ __forceinline__ void apply_held_by_half(const Full& p, const float* g, const Sizes& z, int held) {
    const int items = z.width / (2 * ROWS) * (z.width + ROWS);
    for (int item = threadIdx.x; item < items; item += blockDim.x) {
        const Item at = of_triangle(z, item, ROWS);
        float* rows = p.p + (size_t)at.a * z.width + at.j;
        float x[ROWS];
        #pragma unroll
        for (int m = 0; m < ROWS; ++m) x[m] = at.a + m < z.n_inputs ? rows[m * z.width] : 0.0f;
        without_held_products(x, g, z, held, at.a, at.j);
        #pragma unroll
        for (int m = 0; m < ROWS; ++m)
            if (at.a + m < z.n_inputs) rows[m * z.width] = x[m];
        if (at.j < at.a + ROWS || at.j >= z.n_inputs) continue;
        Quad* mirrored = (Quad*)(p.p + (size_t)at.j * z.width + at.a);
        mirrored[0] = {x[0], x[1], x[2], x[3]};
        mirrored[1] = {x[4], x[5], x[6], x[7]};
    }
}

// P <- P - sum_i g_i g_i'
__device__ __forceinline__ void apply_held(const Full& p, const float* g, const Scratch&, const Sizes& z, int held) {
    if (z.half_flush) return apply_held_by_half(p, g, z, held);
    const int items = (z.n_inputs + ROWS - 1) / ROWS * z.width;
    for (int item = threadIdx.x; item < items; item += blockDim.x) {
        const int a = item / z.width * ROWS, j = item % z.width;
        float* at = p.p + (size_t)a * z.width + j;
        float x[ROWS];
        #pragma unroll
        for (int m = 0; m < ROWS; ++m) x[m] = a + m < z.n_inputs ? at[m * z.width] : 0.0f;
        without_held_products(x, g, z, held, a, j);
        #pragma unroll
        for (int m = 0; m < ROWS; ++m)
            if (a + m < z.n_inputs) at[m * z.width] = x[m];
    }
}

// The lower triangle, in strips of four columns; see packed_size in kernels/cpu/rls_state.py.
struct Packed {
    float* p;
};

__device__ __forceinline__ Packed of_pool(Packed, const State& state, const Sizes& z, int pool) {
    return {(float*)state.p + (size_t)pool * z.packed_size};
}

// Offset of where row 0 of column c would be; the next row is QUAD further on.
__device__ __forceinline__ int packed_column(const Sizes& z, int c) {
    const int first = c / LANES * LANES, rows = z.width - first;
    return first * (z.width - (first - LANES) / 2) + (c % LANES / QUAD * rows - first) * QUAD + c % QUAD;
}

__device__ __forceinline__ void add_columns(
    const Packed& p, float* q, float rho, const Scratch& s, const Sizes& z, int count) {
    for (int j = threadIdx.x; j < z.width; j += blockDim.x) {
        const float* column = p.p + packed_column(z, j);
        float x = rho * q[j];
        for (int m = 0; m < count; ++m) {
            const int c = s.changed[m];
            x = fmaf(s.delta[m], c / LANES <= j / LANES ? p.p[packed_column(z, c) + j * QUAD] : column[c * QUAD], x);
        }
        q[j] = x;
    }
}

__device__ __forceinline__ void apply_held(const Packed& p, const float* g, const Scratch&, const Sizes& z, int held) {
    const int items = z.width / (2 * ROWS) * (z.width + LANES);
    for (int item = threadIdx.x; item < items; item += blockDim.x) {  // a row of two strips
        const Item at = of_triangle(z, item, LANES);
        Quad* low = (Quad*)(p.p + packed_column(z, at.a)) + at.j;
        Quad* high = low + z.width - at.a / LANES * LANES;
        const Quad left = *low, right = *high;
        float x[ROWS] = {left.of[0], left.of[1], left.of[2], left.of[3], right.of[0], right.of[1], right.of[2], right.of[3]};
        without_held_products(x, g, z, held, at.a, at.j);
        *low = {x[0], x[1], x[2], x[3]};
        *high = {x[4], x[5], x[6], x[7]};
    }
}

// In 16 bits: P[a, b] = scale[a] scale[b] code[a, b] / CODE_ONE.
struct Int16 {
    int16_t* p;
    float* scale;
};

__device__ __forceinline__ Int16 of_pool(Int16, const State& state, const Sizes& z, int pool) {
    return {(int16_t*)state.p + (size_t)pool * z.n_inputs * z.width, state.scale + (size_t)pool * z.width};
}

__device__ __forceinline__ void add_columns(
    const Int16& p, float* q, float rho, const Scratch& s, const Sizes& z, int count) {
    float* scaled = s.k;  // not in use yet
    for (int m = threadIdx.x; m < count; m += blockDim.x) scaled[m] = s.delta[m] * p.scale[s.changed[m]] * CODE_SCALE;
    __syncthreads();
    for (int j = threadIdx.x; j < z.width; j += blockDim.x) {
        float total = 0.0f;
        for (int m = 0; m < count; ++m) total = fmaf(scaled[m], (float)p.p[(size_t)s.changed[m] * z.width + j], total);
        q[j] = fmaf(p.scale[j], total, rho * q[j]);
    }
}

// To the nearest, kept within the range; what is not a number becomes the largest.
__device__ __forceinline__ int16_t code(float x) { return (int16_t)(int)fmaxf(fminf(rintf(x), 32767.0f), -32767.0f); }

__device__ __forceinline__ void apply_held(const Int16& p, const float* g, const Scratch& s, const Sizes& z, int held) {
    float *old = s.r, *inverse = s.k;  // not in use any more
    __syncthreads();
    for (int a = threadIdx.x; a < z.width; a += blockDim.x) {
        old[a] = inverse[a] = 0.0f;
        if (a >= z.n_inputs) continue;
        float diagonal = p.scale[a] * p.scale[a];
        for (int i = 0; i < held; ++i) {
            const float value = g[place(z, a, i)];
            diagonal = fmaf(-value, value, diagonal);
        }
        old[a] = p.scale[a] * CODE_INVERSE_ROOT;
        p.scale[a] = sqrtf(diagonal);
        inverse[a] = CODE_ROOT * (1.0f / p.scale[a]);
    }
    __syncthreads();
    const int items = (z.n_inputs + ROWS - 1) / ROWS * z.width;
    for (int item = threadIdx.x; item < items; item += blockDim.x) {
        const int a = item / z.width * ROWS, j = item % z.width;
        int16_t* at = p.p + (size_t)a * z.width + j;
        float x[ROWS];
        #pragma unroll
        for (int m = 0; m < ROWS; ++m) x[m] = a + m < z.n_inputs ? old[a + m] * old[j] * (float)at[m * z.width] : 0.0f;
        without_held_products(x, g, z, held, a, j);
        #pragma unroll
        for (int m = 0; m < ROWS; ++m)
            if (a + m < z.n_inputs) at[m * z.width] = code(inverse[a + m] * inverse[j] * x[m]);
    }
}
