/* ops_packed.c - products with packed weights: shapes and threads here, arithmetic in
 * kernels_packed.c. */
#include "tensor/packed.h"
#include "tensor/parallel.h"

enum { WORTH_IT = 30000 }; /* multiplications: with fewer, threads bring nothing */

typedef struct {
    long M, N, K;
    const float *x, *bias;
    PackedMatrix w;
    float *y;
} PackedProduct;

/* Columns from .. to - 1. */
static void multiply_columns(long from, long to, void *context)
{
    const PackedProduct *p = context;
    const float *bias = p->bias ? p->bias + from : NULL;
    PackedMatrix w = p->w;
    w.data += from * w.column;
    if (p->M == 1)
        kernel_packed_row(to - from, p->K, p->x, w, bias, p->y + from);
    else
        kernel_packed_matmul(p->M, to - from, p->K, (Matrix){(float *)p->x, p->K, 1}, w,
                             bias, (Matrix){p->y + from, p->N, 1});
}

void multiply_packed(Op *op, Tensor *y, Tensor *x, const Tensor *w, const Tensor *bias)
{
    if (y->storage->wants_grad)
        op_misuse(op_tape(op), "packed weights",
                  "no gradient passes through %s: use an inference tape", t_text(w));
    if (w->rank != 2 || (w->stride[0] != 1 && w->stride[1] != 1))
        op_misuse(op_tape(op), "packed weights",
                  "%s has neither contiguous rows nor columns", t_text(w));
    x = t_contiguous(x);
    PackedProduct p = {.M = t_rows_of(x), .N = w->shape[1], .K = w->shape[0], .y = y->data};
    p.x = x->data;
    p.bias = bias ? bias->data : NULL;
    p.w = (PackedMatrix){w->storage->packed + w->offset, w->stride[0], w->stride[1],
                         w->storage->packing};
    if (p.M == 0 || p.N == 0)
        return;
    long grain = kernel_column_grain, threads = parallel_thread_count();
    bool small = (double)p.M * (double)p.N * (double)p.K < WORTH_IT;
    long share = small ? p.N : (p.N + threads * grain - 1) / (threads * grain) * grain;
    parallel_for(p.N, share, multiply_columns, &p);
}
