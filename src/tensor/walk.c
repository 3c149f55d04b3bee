/* walk.c - going through n-dimensional arrays element by element, several at a time. */
#include "tensor/walk.h"
#include "tensor/kernels.h"
#include "tensor/parallel.h"

enum {
    PIECE = 512,      /* floats of a row that are gathered at a time */
    WORTH_IT = 16384, /* elements below which threads cost more than they bring */
    ENOUGH = 16,      /* to be summed in parts, */
    MOST_SUMS = 4096, /* for so many sums at a time: each part needs as many floats */
    OUT = WALK_INPUTS /* where the strides of the output are kept */
};

typedef struct {
    int rank;
    long size[MAX_RANK];
    long stride[WALK_INPUTS + 1][MAX_RANK];
    RowFunction *f;
    float constant;
    bool add;
    int inputs;
    int split; /* the dimension that threads divide */
    float *data[WALK_INPUTS + 1];
} Walk;

ROW_FUNCTION(row_copy_vectors, IN(0))

void row_copy(long n, float *out, const float *const in[], float constant)
{
    row_copy_vectors(n, out, in, constant);
}

/* One operand of a piece of a row, made contiguous. */
static const float *gather(float *buffer, const float *from, long stride, long n)
{
    if (stride == 1)
        return from;
    for (long i = 0; i < n; i++)
        buffer[i] = from[i * stride];
    return buffer;
}

static void add_row(float *to, long stride, const float *row, long n)
{
    if (stride == 0)
        *to += kernel_sum(n, row);
    else if (stride == 1)
        for (long i = 0; i < n; i++)
            to[i] += row[i];
    else
        for (long i = 0; i < n; i++)
            to[i * stride] += row[i];
}

static void walk_row(const Walk *w, long n, float *const data[])
{
    float buffer[WALK_INPUTS + 1][PIECE];
    const int last = w->rank - 1;
    for (long i = 0; i < n; i += PIECE) {
        long m = n - i < PIECE ? n - i : PIECE;
        const float *in[WALK_INPUTS];
        for (int k = 0; k < w->inputs; k++) {
            long stride = w->stride[k][last];
            in[k] = gather(buffer[k], data[k] + i * stride, stride, m);
        }
        long stride = w->stride[OUT][last];
        float *to = data[OUT] + i * stride;
        bool direct = stride == 1 && !w->add, as_is = w->f == row_copy;
        const float *row = as_is ? in[0] : buffer[OUT];
        if (direct || !as_is)
            w->f(m, direct ? to : buffer[OUT], in, w->constant);
        if (direct)
            continue;
        if (w->add)
            add_row(to, stride, row, m);
        else
            for (long j = 0; j < m; j++)
                to[j * stride] = row[j];
    }
}

static void advance(const Walk *w, float *data[], int dimension, long steps)
{
    for (int k = 0; k < w->inputs; k++)
        data[k] += steps * w->stride[k][dimension];
    data[OUT] += steps * w->stride[OUT][dimension];
}

/* Everything for which the dimension that is divided lies in from .. to - 1. */
static void walk_range(long from, long to, void *context)
{
    const Walk *w = context;
    long size[MAX_RANK], at[MAX_RANK] = {0};
    memcpy(size, w->size, sizeof size);
    size[w->split] = to - from;
    float *data[WALK_INPUTS + 1];
    memcpy(data, w->data, sizeof data);
    advance(w, data, w->split, from);

    for (;;) {
        walk_row(w, size[w->rank - 1], data);
        int d = w->rank - 2;
        for (; d >= 0 && at[d] + 1 == size[d]; d--) {
            advance(w, data, d, -at[d]);
            at[d] = 0;
        }
        if (d < 0)
            return;
        advance(w, data, d, 1);
        at[d]++;
    }
}

/* Neighbouring dimensions that all operands pass through in one stride become one. */
static void merge_dimensions(Walk *w)
{
    int kept = 0;
    for (int d = 1; d < w->rank; d++) {
        bool merge = true;
        for (int k = 0; k <= OUT; k++)
            if (w->data[k])
                merge &= w->stride[k][kept] == w->stride[k][d] * w->size[d];
        if (merge)
            w->size[kept] *= w->size[d];
        else
            w->size[++kept] = w->size[d];
        for (int k = 0; k <= OUT; k++)
            w->stride[k][kept] = w->stride[k][d];
    }
    w->rank = kept + 1;
}

/* How many floats the output has, if they lie side by side, whatever their order; otherwise
 * 0. */
static long side_by_side(const Walk *w)
{
    long size = 1, reach = 1;
    for (int d = 0; d < w->rank; d++)
        if (w->stride[OUT][d] != 0) {
            size *= w->size[d];
            reach += (w->size[d] - 1) * w->stride[OUT][d];
        }
    return size == reach ? size : 0;
}

/* Some of the first dimension, over which is summed. */
static void walk_part(long from, long to, float *sum, void *context)
{
    Walk w = *(const Walk *)context;
    w.data[OUT] = sum;
    walk_range(from, to, &w);
}

void walk(int rank, const int *shape, RowFunction *f, float constant, Walked out, bool add,
          int inputs, const Walked *in)
{
    Walk w = {.rank = 0, .f = f, .constant = constant, .add = add, .inputs = inputs};
    long total = 1;
    for (int k = 0; k < inputs; k++)
        w.data[k] = in[k].data;
    w.data[OUT] = out.data;
    for (int d = 0; d < rank; d++) {
        total *= shape[d];
        if (shape[d] == 1)
            continue;
        w.size[w.rank] = shape[d];
        for (int k = 0; k < inputs; k++)
            w.stride[k][w.rank] = in[k].stride[d];
        w.stride[OUT][w.rank++] = out.stride[d];
    }
    if (total == 0)
        return;
    if (w.rank == 0) { /* a single number */
        w.size[0] = w.rank = 1;
        for (int k = 0; k <= OUT; k++)
            w.stride[k][0] = 1;
    }
    merge_dimensions(&w);

    /* A sum of many rows: a thread that adds up some of them finds them in its cache, where
     * it left them. */
    bool sum = add && w.stride[OUT][0] == 0 && w.size[0] >= ENOUGH && total >= WORTH_IT;
    long size = sum ? side_by_side(&w) : 0;
    if (size > 0 && size <= MOST_SUMS) {
        parallel_sum(w.size[0], size, out.data, walk_part, &w);
        return;
    }

    /* Threads may divide only what they write: here a dimension that is summed is never
     * split. */
    long longest = 0;
    for (int d = 0; d < w.rank; d++)
        if (w.stride[OUT][d] != 0 && w.size[d] > longest) {
            longest = w.size[d];
            w.split = d;
        }
    long all = w.size[w.split];
    parallel_for(all,
                 total < WORTH_IT || longest == 0 ? all
                 : w.split == w.rank - 1          ? 64
                                                  : 1,
                 walk_range, &w);
}
