/* ops_move.c - the operations that only move numbers about. */
#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/scratch.h"
#include "tensor/walk.h"

/* ---- One after another ----
 *
 * y[i] = x[i] for i < n, y[n + i] = z[i], and so on along one dimension; each part gets its
 * piece of the gradient of y back. */

/* The strides are those of the whole, the shape is that of a part. */
static void concat_backward(Op *op)
{
    const Tensor *y = op_output_shape(op);
    int dimension = *(int *)op_saved(op);
    const float *g = op_gout(op);
    for (int i = 0; i < op_inputs(op); i++) {
        const Tensor *x = op_input_shape(op, i);
        if (op_wants(op, i)) {
            bool add;
            float *grad = op_grad(op, i, &add);
            walk(x->rank, x->shape, row_copy, 0, (Walked){grad, x->stride}, add, 1,
                 &(Walked){(float *)g, y->stride});
        }
        g += x->shape[dimension] * y->stride[dimension];
    }
}

Tensor *t_concat(Tensor *const *parts, int n, int dimension)
{
    Op *op = op_new("concat", concat_backward, n, parts);
    int shape[MAX_RANK], rank = parts[0]->rank;
    if (dimension < 0 || dimension >= rank)
        op_misuse(op_tape(op), "concat", "%s has no dimension %d", t_text(parts[0]),
                  dimension);
    memcpy(shape, parts[0]->shape, sizeof shape);
    for (int i = 1; i < n; i++) {
        for (int d = 0; d < rank; d++)
            if (parts[i]->rank != rank ||
                (d != dimension && parts[i]->shape[d] != shape[d]))
                op_misuse(op_tape(op), "concat",
                          "%s and %s differ in more than dimension %d", t_text(parts[0]),
                          t_text(parts[i]), dimension);
        shape[dimension] += parts[i]->shape[dimension];
    }
    Tensor *y = op_out_of(op, rank, shape);
    float *to = y->data;
    for (int i = 0; i < n; i++) {
        walk(rank, parts[i]->shape, row_copy, 0, (Walked){to, y->stride}, false, 1,
             &(Walked){parts[i]->data, parts[i]->stride});
        to += parts[i]->shape[dimension] * y->stride[dimension];
    }
    *(int *)op_save(op, sizeof(int)) = dimension;
    return y;
}

/* Each part gets a dimension of size 1 in that place; then they are concatenated. */
Tensor *t_stack(Tensor *const *parts, int n, int dimension)
{
    const Tensor *first = parts[0];
    if (dimension < 0 || dimension > first->rank || first->rank == MAX_RANK)
        op_misuse(first->tape, "stack", "%s cannot have a new dimension %d", t_text(first),
                  dimension);
    int shape[MAX_RANK], rank = first->rank;
    for (int d = 0; d <= rank; d++)
        shape[d] = d == dimension ? 1 : first->shape[d - (d > dimension)];
    Tensor **thick = scratch_take((size_t)n * sizeof *thick);
    for (int i = 0; i < n; i++) {
        if (!t_has_shape(parts[i], rank, first->shape))
            op_misuse(first->tape, "stack", "%s and %s differ", t_text(first),
                      t_text(parts[i]));
        thick[i] = t_reshape_to(parts[i], rank + 1, shape);
    }
    Tensor *y = t_concat(thick, n, dimension);
    scratch_return(thick);
    return y;
}
