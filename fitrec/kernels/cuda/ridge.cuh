// Regressions of neurons: tiles of Gram matrices in float32, Cholesky factor and solution. Each element is one thread's, so its sum has
// the CPU's order (kernels/cpu/ridge.py). The block has 256 threads; all of them take part in everything here.
#pragma once

#define BLOCK 256
#define TILE 64
#define SIDE 16     // threads along a side of a tile
#define PER 4       // elements of a tile per thread and direction
#define CHUNK 32    // samples in shared memory
#define PIECE 256   // samples summed from zero
#define PANEL 16    // rows of the factor between two updates of the rest

// Mirrors the NamedTuple of kernels/cuda/ridge.py.
struct Regressions {
    const double* target;   // (condition, time, neuron)
    const int32_t* inputs;  // (neuron, input)
    const float* initial;   // (neuron, input)
    int32_t n_neurons, n_inputs, n_exc;
    float diagonal, same_kind;
};

typedef float Chunk[CHUNK][TILE + 1];  // one column more, so that a warp writes 32 samples into 32 banks

struct Sums {
    float of[PER][PER];
};

// Neighbouring threads take neighbouring samples, or neighbouring rows.
template <bool ALONG_SAMPLES, class Value>
__device__ __forceinline__ void load(Chunk& chunk, int rows, int samples, Value value) {
    for (int at = threadIdx.x; at < TILE * CHUNK; at += BLOCK) {
        const int i = ALONG_SAMPLES ? at / CHUNK : at % TILE, s = ALONG_SAMPLES ? at % CHUNK : at / TILE;
        chunk[s][i] = i < rows && s < samples ? value(i, s) : 0.0f;
    }
}

__device__ __forceinline__ void add_chunk(Sums& sums, const Chunk& left, const Chunk& right, int samples) {
    const int row = threadIdx.x / SIDE, column = threadIdx.x % SIDE;
#pragma unroll 2
    for (int s = 0; s < samples; ++s) {
        float a[PER], b[PER];
#pragma unroll
        for (int m = 0; m < PER; ++m) {
            a[m] = left[s][row + SIDE * m];
            b[m] = right[s][column + SIDE * m];
        }
#pragma unroll
        for (int m = 0; m < PER; ++m)
#pragma unroll
            for (int k = 0; k < PER; ++k) sums.of[m][k] = fmaf(a[m], b[k], sums.of[m][k]);
    }
}

__device__ __forceinline__ void clear(Sums& sums) {
#pragma unroll
    for (int m = 0; m < PER; ++m)
#pragma unroll
        for (int k = 0; k < PER; ++k) sums.of[m][k] = 0.0f;
}

__device__ __forceinline__ void add(Sums& total, const Sums& piece, bool negative) {
#pragma unroll
    for (int m = 0; m < PER; ++m)
#pragma unroll
        for (int k = 0; k < PER; ++k)
            total.of[m][k] = negative ? total.of[m][k] - piece.of[m][k] : total.of[m][k] + piece.of[m][k];
}

// Products of up to 64 x `samples` x up to 64 are added to the thread's elements, piece by piece, or taken away; with `y`, thread i
// also adds those of row i and y to `moment`. Every thread of the block takes part.
template <bool ALONG_SAMPLES, class Left, class Right, class Y>
__device__ __forceinline__ void add_products(
    Sums& total, float& moment, int rows, int columns, int samples, bool negative, bool square, Left left, Right right, Y y) {
    __shared__ Chunk of_rows, of_columns;
    __shared__ float of_y[CHUNK];
    for (int start = 0; start < samples; start += PIECE) {
        const int end = min(start + PIECE, samples);
        Sums piece;
        clear(piece);
        float piece_moment = 0.0f;
        for (int first = start; first < end; first += CHUNK) {
            const int length = min(CHUNK, end - first);
            __syncthreads();  // the chunk before has been read
            load<ALONG_SAMPLES>(of_rows, rows, length, [&](int i, int s) { return left(i, first + s); });
            if (!square) load<ALONG_SAMPLES>(of_columns, columns, length, [&](int i, int s) { return right(i, first + s); });
            if (square && (int)threadIdx.x < length) of_y[threadIdx.x] = y(first + threadIdx.x);
            __syncthreads();
            add_chunk(piece, of_rows, square ? of_rows : of_columns, length);
            if (square && threadIdx.x < TILE)
                for (int s = 0; s < length; ++s) piece_moment = fmaf(of_y[s], of_rows[s][threadIdx.x], piece_moment);
        }
        add(total, piece, negative);
        moment = negative ? moment - piece_moment : moment + piece_moment;
    }
}

// What a block keeps of its neuron.
struct Scratch {
    float *gram, *moment, *inverse, *solution;
    int stride;  // of the Gram matrix: odd, so that neither rows nor columns meet in one bank
};

__device__ __forceinline__ float& element(const Scratch& scratch, int i, int j) { return scratch.gram[(size_t)i * scratch.stride + j]; }

__device__ __forceinline__ Scratch divide(float* memory, int n) {
    const int stride = n | 1;
    float* rest = memory + (size_t)n * stride;
    return {memory, rest, rest + n, rest + 2 * n, stride};
}

// Right-hand side of input i: moment without the initial weights' part.
__device__ __forceinline__ float right_side(const Scratch& scratch, const float* initial, int n, int i, float moment) {
    double total = 0.0;  // E and I weights nearly cancel
    for (int j = 0; j < n; ++j) total = fma((double)element(scratch, min(i, j), max(i, j)), (double)initial[j], total);
    return (float)(moment - total);
}

// Add the penalties to the Gram matrix.
__device__ __forceinline__ void penalise(const Regressions& z, const Scratch& scratch) {
    const int n = z.n_inputs;
    for (int i = threadIdx.x; i < n; i += BLOCK) {
        const int end = i < z.n_exc ? z.n_exc : n;
        for (int j = i + 1; j < end; ++j) element(scratch, i, j) += z.same_kind;
        element(scratch, i, i) += z.diagonal;
    }
    __syncthreads();
}

// x of element (i, j) without the products of rows first..end-1 of the factor.
__device__ __forceinline__ float without(const Scratch& scratch, float x, int first, int end, int i, int j) {
    for (int k = first; k < end; ++k) x = fmaf(-element(scratch, k, i), element(scratch, k, j), x);
    return x;
}

// Cholesky factor U, U'U = Gram matrix; NaN from where there is none.
__device__ __forceinline__ void factor(const Scratch& scratch, int n) {
    const int row = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int first = 0; first < n; first += PANEL) {
        const int end = min(first + PANEL, n);
        for (int k = first; k < end; ++k) {
            const float x = element(scratch, k, k);
            const float inverse = x > 0 ? 1.0f / sqrtf(x) : nanf("");
            for (int j = k + 1 + threadIdx.x; j < n; j += BLOCK) element(scratch, k, j) *= inverse;
            if (threadIdx.x == 0) scratch.inverse[k] = inverse;
            __syncthreads();
            for (int i = k + 1 + row; i < end; i += BLOCK / 32)
                for (int j = i + lane; j < n; j += 32) element(scratch, i, j) = without(scratch, element(scratch, i, j), k, k + 1, i, j);
            __syncthreads();
        }
        for (int i = end + row; i < n; i += BLOCK / 32)
            for (int j = i + lane; j < n; j += 32) element(scratch, i, j) = without(scratch, element(scratch, i, j), first, end, i, j);
        __syncthreads();
    }
}

// U'U x = moments; x replaces them.
__device__ __forceinline__ void substitute(const Scratch& scratch, int n) {
    for (int k = 0; k < n; ++k) {
        const float y = scratch.moment[k] * scratch.inverse[k];
        for (int j = k + 1 + threadIdx.x; j < n; j += BLOCK) scratch.moment[j] = fmaf(element(scratch, k, j), -y, scratch.moment[j]);
        if (threadIdx.x == 0) scratch.solution[k] = y;
        __syncthreads();
    }
    for (int k = n - 1; k >= 0; --k) {
        const float x = scratch.solution[k] * scratch.inverse[k];
        for (int j = threadIdx.x; j < k; j += BLOCK) scratch.solution[j] = fmaf(element(scratch, j, k), -x, scratch.solution[j]);
        if (threadIdx.x == 0) scratch.moment[k] = x;
        __syncthreads();
    }
}
