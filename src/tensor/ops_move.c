/* ops_move.c - the operations that only move numbers about. */
#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/packed.h"
#include "tensor/parallel.h"
#include "tensor/scratch.h"
#include "tensor/walk.h"

/* ---- Rows of a table ---- */

typedef struct {
    float *out;
    const float *table;
    const uint16_t *packed; /* the table, where it is not floats */
    Packing packing;
    long row, columns, count;
    const int *id;
} Lookup;

static void look_up(long from, long to, void *context)
{
    const Lookup *l = context;
    for (long i = from; i < to; i++)
        if (l->packed)
            kernel_expand(l->packing, l->columns, l->packed + l->id[i] * l->row,
                          l->out + i * l->columns);
        else
            memcpy(l->out + i * l->columns, l->table + l->id[i] * l->row,
                   (size_t)l->columns * sizeof(float));
}

/* Several ids may name one row, so threads divide the columns. */
static void give_back(long from, long to, void *context)
{
    const Lookup *l = context;
    for (long i = 0; i < l->count; i++) {
        float *to_row = l->out + l->id[i] * l->row;
        const float *g = l->table + i * l->columns;
        for (long j = from; j < to; j++)
            to_row[j] += g[j];
    }
}

static void rows_backward(Op *op)
{
    const Tensor *table = op_input_shape(op, 0);
    Lookup *l = op_saved(op);
    l->out = op_grad(op, 0, NULL);
    l->table = op_gout(op);
    l->row = table->stride[0];
    parallel_for(l->columns, 64, give_back, l);
}

Tensor *t_rows(Tensor *table, const Ids *ids)
{
    if (!table->tape)
        table = t_on(ids->tape, table);
    Op *op = op_new_packed("rows", rows_backward, T_LIST(table), 0);
    if (table->tape != ids->tape)
        op_misuse(table->tape, "rows", "inputs are on two different tapes");
    int shape[MAX_RANK], V = table->shape[0], C = table->shape[1];
    if (table->rank != 2 || table->stride[1] != 1 || ids->rank >= MAX_RANK)
        op_misuse(op_tape(op), "rows", "%s is not a table with contiguous rows",
                  t_text(table));
    for (long i = 0; i < ids->size; i++)
        if (ids->at[i] < 0 || ids->at[i] >= V)
            op_misuse(op_tape(op), "rows", "id %d is not in the table %s", ids->at[i],
                      t_text(table));
    memcpy(shape, ids->shape, sizeof ids->shape);
    shape[ids->rank] = C;
    Tensor *y = op_out_of(op, ids->rank + 1, shape);
    Lookup *l = op_save(op, sizeof *l);
    const uint16_t *packed = table->storage->packed;
    *l = (Lookup){.out = y->data,
                  .table = table->data,
                  .packed = packed ? packed + table->offset : NULL,
                  .packing = table->storage->packing,
                  .row = table->stride[0],
                  .columns = C,
                  .count = ids->size,
                  .id = ids->at};
    parallel_for(ids->size, 1 + 16384 / (C + 1), look_up, l);
    return y;
}

/* ---- One behind the other ---- */

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
                op_misuse(op_tape(op), "concat", "%s and %s differ beside dimension %d",
                          t_text(parts[0]), t_text(parts[i]), dimension);
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
