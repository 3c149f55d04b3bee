/* ops_ids.c - the operations that take ids or give them: rows out of a table and back into
 * one, entries out of rows, the largest entries, masks. */
#include "tensor/op.h"
#include "tensor/ops.h"
#include "tensor/packed.h"
#include "tensor/parallel.h"
#include "tensor/scratch.h"
#include "tensor/walk.h"

#include <limits.h>
#include <math.h>

enum { WORTH_IT = 16384 /* elements below which threads cost more than they bring */ };

/* ---- Ids and masks ---- */

Ids *ids_range(Tape *tape, int from, int to)
{
    if (from < 0 || to < from)
        op_misuse(tape, "ids_range", "%d .. %d is not a range", from, to);
    Ids *ids = ids_new(tape, to - from);
    for (int i = from; i < to; i++)
        ids->at[i - from] = i;
    return ids;
}

Ids *ids_from_of(Tape *tape, const int *numbers, int rank, const int *shape)
{
    Ids *ids = ids_of(tape, rank, shape);
    memcpy(ids->at, numbers, (size_t)ids->size * sizeof *numbers);
    return ids;
}

/* y[i] = ids[i] != value */
Tensor *t_is_not(const Ids *ids, int value)
{
    Tensor *y = t_empty_of(ids->tape, ids->rank, ids->shape);
    for (long i = 0; i < ids->size; i++)
        y->data[i] = ids->at[i] != value;
    return y;
}

/* Each id names one of the `count` things, as `what` calls them, of x. */
static void check_ids(const Op *op, const char *name, const Ids *ids, int count,
                      const char *what, const Tensor *x)
{
    if (ids->tape != op_tape(op))
        op_misuse(op_tape(op), name, "inputs are on two different tapes");
    for (long i = 0; i < ids->size; i++)
        if (ids->at[i] < 0 || ids->at[i] >= count)
            op_misuse(op_tape(op), name, "id %d is not one of the %d %s of %s", ids->at[i],
                      count, what, t_text(x));
}

/* ---- Rows of a table, out of it and back ---- */

/* Each of `count` rows, one after another, has an id, which names a row of a table. */
typedef struct {
    float *rows, *table;
    const uint16_t *packed; /* the table, where it is not floats */
    Packing packing;
    long table_row; /* from one row of the table to the next; `columns` in `rows` */
    long columns, count;
    const int *id;
    bool add; /* to `rows`, or set them */
} NamedRows;

/* rows[i] = table[id[i]], or += */
static void take_rows(long from, long to, void *context)
{
    const NamedRows *n = context;
    for (long i = from; i < to; i++) {
        float *row = n->rows + i * n->columns;
        long place = n->id[i] * n->table_row;
        if (n->packed) {
            kernel_expand(n->packing, n->columns, n->packed + place, row);
            continue;
        }
        const float *named = n->table + place;
        if (n->add)
            for (long j = 0; j < n->columns; j++)
                row[j] += named[j];
        else
            memcpy(row, named, (size_t)n->columns * sizeof *row);
    }
}

/* table[id[i]] += rows[i], in the order of i. Several ids may name one row, so threads divide
 * the columns. */
static void put_columns(long from, long to, void *context)
{
    const NamedRows *n = context;
    for (long i = 0; i < n->count; i++) {
        float *named = n->table + n->id[i] * n->table_row;
        const float *row = n->rows + i * n->columns;
        for (long j = from; j < to; j++)
            named[j] += row[j];
    }
}

static void take(NamedRows *n)
{
    parallel_rows(n->count, n->columns, take_rows, n);
}

static void put(NamedRows *n)
{
    bool small = n->count * n->columns < WORTH_IT;
    parallel_for(n->columns, small ? 1 + n->columns : 64, put_columns, n);
}

static void rows_backward(Op *op)
{
    NamedRows *n = op_saved(op);
    n->table = op_grad(op, 0, NULL);
    n->rows = (float *)op_gout(op);
    put(n);
}

/* y[i, j] = table[ids[i], j] */
Tensor *t_rows(Tensor *table, const Ids *ids)
{
    if (!table->tape)
        table = t_on(ids->tape, table);
    if (table->rank == 2 && table->shape[1] > 1 && table->stride[1] != 1)
        table = t_contiguous(table);
    Op *op = op_new_packed("rows", rows_backward, T_LIST(table), 0);
    if (table->rank != 2 || ids->rank >= MAX_RANK)
        op_misuse(op_tape(op), "rows",
                  "%s is not a table, or ids of %s have too many dimensions", t_text(table),
                  t_text(ids));
    check_ids(op, "rows", ids, table->shape[0], "rows", table);
    int shape[MAX_RANK], C = table->shape[1];
    memcpy(shape, ids->shape, sizeof ids->shape);
    shape[ids->rank] = C;
    Tensor *y = op_out_of(op, ids->rank + 1, shape);
    NamedRows *n = op_save(op, sizeof *n);
    *n = (NamedRows){.rows = y->data, .table = table->data, .columns = C, .id = ids->at};
    n->table_row = table->stride[0];
    n->count = ids->size;
    if (table->storage->packed) {
        n->packed = table->storage->packed + table->offset;
        n->packing = table->storage->packing;
    }
    take(n);
    return y;
}

/* Both contiguous and of the shape of y. */
static void copy_rows(const Tensor *y, float *to, const float *from, bool add)
{
    walk(y->rank, y->shape, row_copy, 0, (Walked){to, y->stride}, add, 1,
         &(Walked){(float *)from, y->stride});
}

/* The gradient of the result is that of `into`, too, and is needed for the rows first. */
static void add_rows_backward(Op *op)
{
    NamedRows *n = op_saved(op);
    n->table = (float *)op_gout(op);
    if (op_wants(op, 0)) {
        n->rows = op_grad(op, 0, &n->add);
        take(n);
    }
    if (!op_wants(op, 1))
        return;
    bool add;
    float *into = op_grad(op, 1, &add);
    if (into != n->table)
        copy_rows(op_output_shape(op), into, n->table, add);
}

/* y = into; for each i in turn: y[ids[i], j] += rows[i, j] */
Tensor *t_add_rows(Tensor *into, Tensor *rows, const Ids *ids)
{
    into = t_contiguous(into->tape ? into : t_on(ids->tape, into));
    rows = t_contiguous(rows->tape ? rows : t_on(ids->tape, rows));
    Op *op = t_op("add_rows", add_rows_backward, rows, into);
    int C = into->rank ? into->shape[into->rank - 1] : 0;
    bool fit = into->rank == 2 && rows->rank == ids->rank + 1 &&
               rows->shape[rows->rank - 1] == C &&
               memcmp(rows->shape, ids->shape, (size_t)ids->rank * sizeof(int)) == 0;
    if (!fit)
        op_misuse(op_tape(op), "add_rows", "%s, rows %s and ids of %s do not fit",
                  t_text(into), t_text(rows), t_text(ids));
    check_ids(op, "add_rows", ids, into->shape[0], "rows", into);
    op_in_place(op);
    Tensor *y = op_out_like(op, into);
    copy_rows(y, y->data, into->data, false);
    NamedRows *n = op_save(op, sizeof *n);
    *n = (NamedRows){.rows = rows->data, .table = y->data, .columns = C, .id = ids->at};
    n->table_row = C;
    n->count = ids->size;
    put(n);
    return y;
}

/* ---- Entries of rows ---- */

typedef struct {
    float *rows, *picked;
    int columns, width; /* of a row, and of what is picked from it */
    int *id;
} Picks;

static void pick_rows(long from, long to, void *context)
{
    const Picks *p = context;
    for (long i = from; i < to; i++)
        for (long k = i * p->width; k < (i + 1) * p->width; k++)
            p->picked[k] = p->rows[i * p->columns + p->id[k]];
}

/* An id may come twice in a row: a row belongs to one thread. */
static void pick_back_rows(long from, long to, void *context)
{
    const Picks *p = context;
    for (long i = from; i < to; i++)
        for (long k = i * p->width; k < (i + 1) * p->width; k++)
            p->rows[i * p->columns + p->id[k]] += p->picked[k];
}

static void pick_backward(Op *op)
{
    Picks *p = op_saved(op);
    p->rows = op_grad(op, 0, NULL);
    p->picked = (float *)op_gout(op);
    parallel_rows(t_rows_of(op_output_shape(op)), p->width, pick_back_rows, p);
}

/* The result of an operation that picks entries of x, which is contiguous. */
static Tensor *picked(Op *op, const Tensor *x, const Ids *ids)
{
    Tensor *y = op_out_of(op, ids->rank, ids->shape);
    Picks *p = op_save(op, sizeof *p);
    *p = (Picks){.rows = x->data, .picked = y->data, .id = ids->at};
    p->columns = x->shape[x->rank - 1];
    p->width = ids->shape[ids->rank - 1];
    parallel_rows(t_rows_of(y), p->width, pick_rows, p);
    return y;
}

/* y[i, k] = x[i, ids[i, k]] */
Tensor *t_pick(Tensor *x, const Ids *ids)
{
    x = t_contiguous(x->tape ? x : t_on(ids->tape, x));
    Op *op = t_op("pick", pick_backward, x);
    int last = x->rank - 1;
    if (x->rank == 0 || ids->rank != x->rank ||
        memcmp(x->shape, ids->shape, (size_t)last * sizeof(int)) != 0)
        op_misuse(op_tape(op), "pick", "ids of %s do not fit the rows of %s", t_text(ids),
                  t_text(x));
    check_ids(op, "pick", ids, x->shape[last], "columns", x);
    return picked(op, x, ids);
}

/* ---- The largest entries ---- */

/* Of two entries of a row, the one with the larger key comes first: the value decides, and
 * among equal ones the smaller index. NaN counts as larger than all numbers, so that it is
 * not hidden. No key is 0. */
static uint64_t key_of(float value, int index)
{
    int bits;
    value += 0.0f; /* makes 0 of -0 */
    memcpy(&bits, &value, sizeof bits);
    if (bits < 0)
        bits ^= INT_MAX; /* the larger the size, the smaller the number */
    if (isnan(value))
        bits = INT_MAX;
    return (uint64_t)((unsigned)bits ^ 1u << 31) << 32 | ~(unsigned)index;
}

static int index_of(uint64_t key)
{
    return (int)~(unsigned)key;
}

/* Puts a key into the place of the least of n, which is the first, and restores the order of
 * a heap: no key is less than its parent, number (i - 1) / 2. */
static void replace_least(uint64_t *heap, int n, uint64_t key)
{
    int i = 0;
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (key <= heap[child])
            break;
        heap[i] = heap[child];
    }
    heap[i] = key;
}

/* Leaves the k largest entries of a row in a heap: most entries are not larger than the
 * least of it, and cost a comparison. */
static void fill_heap(uint64_t *heap, int k, int columns, const float *x)
{
    float least = NAN; /* larger than nothing: the heap is not full */
    memset(heap, 0, (size_t)k * sizeof *heap);
    for (int j = 0; j < columns && k > 0; j++) {
        if (x[j] <= least)
            continue;
        uint64_t key = key_of(x[j], j);
        if (key > heap[0])
            replace_least(heap, k, key);
        least = heap[0] ? x[index_of(heap[0])] : NAN;
    }
}

static void topk_rows(long from, long to, void *context)
{
    const Picks *p = context;
    uint64_t *heap = scratch_take((size_t)p->width * sizeof *heap);
    for (long i = from; i < to; i++) {
        fill_heap(heap, p->width, p->columns, p->rows + i * p->columns);
        for (int k = p->width - 1; k >= 0; k--) {
            p->id[i * p->width + k] = index_of(heap[0]);
            replace_least(heap, k, heap[k]);
        }
    }
    scratch_return(heap);
}

/* ids[i, 0], ids[i, 1], ... are the indices of row i of x, sorted by its values, the largest
 * first; y[i, k] = x[i, ids[i, k]] for k < K. */
Tensor *t_topk(Tensor *x, int k, Ids **ids)
{
    x = t_contiguous(x);
    Op *op = t_op("topk", pick_backward, x);
    int shape[MAX_RANK], last = x->rank - 1;
    if (x->rank == 0 || k < 0 || k > x->shape[last])
        op_misuse(op_tape(op), "topk", "the rows of %s do not have %d entries", t_text(x),
                  k);
    memcpy(shape, x->shape, sizeof shape);
    shape[last] = k;
    *ids = ids_of(op_tape(op), x->rank, shape);
    Picks p = {.rows = x->data, .columns = x->shape[last], .width = k, .id = (*ids)->at};
    parallel_rows(t_rows_of(x), 8L * p.columns, topk_rows, &p);
    return picked(op, x, *ids);
}
