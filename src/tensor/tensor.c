/* tensor.c - arrays of floats: how they are made, and the many ways to read one. */
#include "tensor/tensor.h"
#include "tensor/op.h"
#include "tensor/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *shape_text(int rank, const int *shape)
{
    static char text[8][96];
    static int next;
    char *result = text[next++ % 8];
    int length = sprintf(result, "(");
    for (int i = 0; i < rank && i < MAX_RANK; i++)
        length += sprintf(result + length, i ? ", %d" : "%d", shape[i]);
    sprintf(result + length, rank == 1 ? ",)" : ")");
    return result;
}

/* ---- Making tensors ---- */

/* How many elements a shape has; arithmetic on shapes never overflows unnoticed. */
static long checked_size(const Tape *tape, const char *name, int rank, const int *shape)
{
    long size = 1;
    if (rank < 0 || rank > MAX_RANK)
        op_misuse(tape, name, "%d dimensions are too many: at most %d", rank, MAX_RANK);
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0)
            op_misuse(tape, name, "%s has a negative size", shape_text(rank, shape));
        if (__builtin_mul_overflow(size, (long)shape[i], &size) || size > (long)1 << 48)
            out_of_memory(SIZE_MAX, "a tensor");
    }
    return size;
}

static void set_shape(Tensor *x, int rank, const int *shape)
{
    x->rank = rank;
    long stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        x->shape[i] = shape[i];
        x->stride[i] = stride;
        stride *= shape[i];
    }
}

Tensor *t_empty_of(Tape *tape, int rank, const int *shape)
{
    long size = checked_size(tape, "a tensor", rank, shape);
    struct {
        Tensor tensor;
        Storage storage;
    } *both = tape_alloc(tape, sizeof *both);
    memset(both, 0, sizeof *both);
    both->storage.data = tape_alloc(tape, (size_t)size * sizeof(float));
    both->storage.size = size;
    both->tensor.storage = &both->storage;
    both->tensor.data = both->storage.data;
    both->tensor.tape = tape;
    set_shape(&both->tensor, rank, shape);
    return &both->tensor;
}

Tensor *t_zeros_of(Tape *tape, int rank, const int *shape)
{
    Tensor *x = t_empty_of(tape, rank, shape);
    memset(x->data, 0, (size_t)x->storage->size * sizeof(float));
    return x;
}

Ids *ids_of(Tape *tape, int rank, const int *shape)
{
    Ids *ids = tape_alloc(tape, sizeof *ids);
    *ids = (Ids){
        .tape = tape, .rank = rank, .size = checked_size(tape, "ids", rank, shape)};
    memcpy(ids->shape, shape, (size_t)rank * sizeof *shape);
    ids->at = tape_alloc(tape, (size_t)ids->size * sizeof(int));
    return ids;
}

static float *lasting_floats(long size)
{
    size_t bytes = ((size_t)size * sizeof(float) + T_ALIGNMENT) / T_ALIGNMENT * T_ALIGNMENT;
    float *floats = aligned_alloc(T_ALIGNMENT, bytes);
    if (!floats)
        out_of_memory(bytes, "a parameter");
    memset(floats, 0, bytes);
    return floats;
}

Tensor *t_lasting(bool wants_grad, int rank, const int *shape)
{
    long size = checked_size(NULL, "a parameter", rank, shape);
    Tensor *x = allocate(1, sizeof *x);
    x->storage = allocate(1, sizeof *x->storage);
    x->storage->size = size;
    x->storage->data = x->data = lasting_floats(size);
    x->storage->wants_grad = x->storage->keeps_grad = wants_grad;
    x->storage->grad = wants_grad ? lasting_floats(size) : NULL;
    set_shape(x, rank, shape);
    return x;
}

void t_lasting_free(Tensor *x)
{
    for (Tensor *view = x->storage->views, *next; view; view = next) {
        next = view->next;
        free(view);
    }
    free(x->storage->data);
    free(x->storage->grad);
    free(x->storage);
    free(x);
}

/* ---- Shapes and views ---- */

long t_size(const Tensor *x)
{
    long size = 1;
    for (int i = 0; i < x->rank; i++)
        size *= x->shape[i];
    return size;
}

long t_rows_of(const Tensor *x)
{
    long rows = 1;
    for (int i = 0; i < x->rank - 1; i++)
        rows *= x->shape[i];
    return rows;
}

bool t_is_contiguous(const Tensor *x)
{
    long stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        if (x->shape[i] != 1 && x->stride[i] != stride)
            return false;
        stride *= x->shape[i];
    }
    return true;
}

float t_item(const Tensor *x)
{
    if (t_size(x) != 1)
        op_misuse(x->tape, "t_item", "%s is not a single number", t_text(x));
    return x->data[0];
}

int t_broadcast(const char *op, const Tensor *a, const Tensor *b, int except, int *shape)
{
    int rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 0; i < rank; i++) {
        int in_a = i - (rank - a->rank), in_b = i - (rank - b->rank);
        int m = in_a < 0 ? 1 : a->shape[in_a], n = in_b < 0 ? 1 : b->shape[in_b];
        if (i < rank - except && m != n && m != 1 && n != 1)
            op_misuse(a->tape ? a->tape : b->tape, op,
                      "%s and %s do not broadcast: sizes %d and %d differ", t_text(a),
                      t_text(b), m, n);
        shape[i] = m == 1 ? n : m;
    }
    return rank;
}

bool t_has_shape(const Tensor *x, int rank, const int *shape)
{
    bool same = x->rank == rank;
    for (int i = 0; same && i < rank; i++)
        same = x->shape[i] == shape[i];
    return same;
}

Tensor *t_shaped_at(Tensor *x, int rank, const int *shape, const char *text,
                    const char *file, int line)
{
    if (!t_has_shape(x, rank, shape))
        misuse("%s:%d: %s is %s and should be %s", file, line, text, t_text(x),
               shape_text(rank, shape));
    if (x->tape)
        tape_note(x->tape, text, file, line);
    return x;
}

static bool same_reading(const Tensor *a, const Tensor *b)
{
    if (a->rank != b->rank || a->data != b->data)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i] || a->stride[i] != b->stride[i])
            return false;
    return true;
}

/* Gives a view a place to live: on the tape of its tensor, or, for a parameter, beside the
 * parameter, where an equal view made earlier is used again. */
static Tensor *settle(Tensor view)
{
    if (view.tape) {
        Tensor *settled = tape_alloc(view.tape, sizeof view);
        *settled = view;
        return settled;
    }
    for (Tensor *old = view.storage->views; old; old = old->next)
        if (same_reading(old, &view))
            return old;
    Tensor *settled = allocate(1, sizeof view);
    *settled = view;
    settled->next = view.storage->views;
    view.storage->views = settled;
    return settled;
}

Tensor *t_on(Tape *tape, Tensor *x)
{
    Tensor view = *x;
    if (x->tape && x->tape != tape)
        op_misuse(tape, "t_on", "the tensor is on another tape");
    view.tape = tape;
    return settle(view);
}

Tensor *t_permute_to(Tensor *x, int rank, const int *order)
{
    Tensor view = *x;
    int seen = 0;
    for (int i = 0; i < rank || rank != x->rank; i++) {
        if (rank != x->rank || order[i] < 0 || order[i] >= rank || seen >> order[i] & 1)
            op_misuse(x->tape, "t_permute", "%s is no order of the dimensions of %s",
                      shape_text(rank, order), t_text(x));
        seen |= 1 << order[i];
        view.shape[i] = x->shape[order[i]];
        view.stride[i] = x->stride[order[i]];
    }
    return settle(view);
}

Tensor *t_transpose(Tensor *x)
{
    if (x->rank < 2)
        op_misuse(x->tape, "t_transpose", "%s has not two dimensions", t_text(x));
    Tensor view = *x;
    int last = x->rank - 1;
    view.shape[last] = x->shape[last - 1];
    view.stride[last] = x->stride[last - 1];
    view.shape[last - 1] = x->shape[last];
    view.stride[last - 1] = x->stride[last];
    return settle(view);
}

Tensor *t_slice(Tensor *x, int dimension, int from, int to)
{
    if (dimension < 0 || dimension >= x->rank || from < 0 || from > to ||
        to > x->shape[dimension])
        op_misuse(x->tape, "t_slice", "%d .. %d of dimension %d is not within %s", from, to,
                  dimension, t_text(x));
    Tensor view = *x;
    view.shape[dimension] = to - from;
    view.data += from * x->stride[dimension];
    return settle(view);
}

Tensor *t_select(Tensor *x, int dimension, int index)
{
    if (dimension < 0 || dimension >= x->rank || index < 0 || index >= x->shape[dimension])
        op_misuse(x->tape, "t_select", "number %d of dimension %d is not within %s", index,
                  dimension, t_text(x));
    Tensor view = *x;
    view.data += index * x->stride[dimension];
    view.rank--;
    for (int i = dimension; i < view.rank; i++) {
        view.shape[i] = x->shape[i + 1];
        view.stride[i] = x->stride[i + 1];
    }
    return settle(view);
}

Tensor *t_expand_to(Tensor *x, int rank, const int *shape)
{
    Tensor view = *x;
    int added = rank - x->rank;
    checked_size(x->tape, "t_expand", rank, shape);
    view.rank = rank;
    for (int i = 0; i < rank || added < 0; i++) {
        int size = i < added ? 1 : x->shape[i - added];
        if (added < 0 || (size != 1 && size != shape[i]))
            op_misuse(x->tape, "t_expand", "%s does not expand to %s", t_text(x),
                      shape_text(rank, shape));
        view.shape[i] = shape[i];
        view.stride[i] = size == 1 && shape[i] != 1 ? 0
                         : i < added                ? 0
                                                    : x->stride[i - added];
    }
    return settle(view);
}

/* Tries to find strides under which x reads as `shape`. Dimensions are taken in groups of
 * equal size on both sides; a group of x must pass through memory in one stride. */
static bool reshape_view(const Tensor *x, Tensor *view)
{
    int i = 0, j = 0;
    while (i < x->rank || j < view->rank) {
        long from = i < x->rank ? x->shape[i] : 1, to = j < view->rank ? view->shape[j] : 1;
        int i_end = i + 1, j_end = j + 1;
        while (from != to) {
            if (from < to)
                from *= x->shape[i_end++];
            else
                to *= view->shape[j_end++];
        }
        long stride = 0, expected = -1;
        for (int d = (i_end < x->rank ? i_end : x->rank) - 1; d >= i; d--) {
            if (x->shape[d] == 1)
                continue;
            if (expected >= 0 && x->stride[d] != expected)
                return false;
            if (expected < 0)
                stride = x->stride[d];
            expected = x->stride[d] * x->shape[d];
        }
        for (int d = (j_end < view->rank ? j_end : view->rank) - 1; d >= j; d--) {
            view->stride[d] = stride;
            stride *= view->shape[d];
        }
        i = i_end;
        j = j_end;
    }
    return true;
}

/* y = x;  dx = g, element by element */
static void copy_backward(Op *op)
{
    const Tensor *x = op_input_shape(op, 0), *y = op_output_shape(op);
    if (op_wants(op, 0)) {
        bool add;
        float *grad = op_grad(op, 0, &add);
        walk(x->rank, x->shape, row_copy, 0, (Walked){grad, x->stride}, add, 1,
             &(Walked){(float *)op_gout(op), y->stride});
    }
}

static void copy_values(Tensor *to, const Tensor *from)
{
    walk(to->rank, to->shape, row_copy, 0, (Walked){to->data, to->stride}, false, 1,
         &(Walked){from->data, from->stride});
}

Tensor *t_contiguous(Tensor *x)
{
    if (t_is_contiguous(x))
        return x;
    Op *op = t_op("copy", copy_backward, x);
    Tensor *y = op_out_like(op, x);
    copy_values(y, x);
    return y;
}

Tensor *t_reshape_to(Tensor *x, int rank, const int *shape)
{
    if (checked_size(x->tape, "t_reshape", rank, shape) != t_size(x))
        op_misuse(x->tape, "t_reshape", "%s has not as many elements as %s", t_text(x),
                  shape_text(rank, shape));
    Tensor view = *x;
    set_shape(&view, rank, shape);
    if (t_size(x) > 0 && !reshape_view(x, &view)) {
        x = t_contiguous(x);
        view = *x;
        set_shape(&view, rank, shape);
    }
    return settle(view);
}

Tensor *t_snapshot(Tape *tape, const Tensor *x)
{
    Tensor *copy = t_empty_of(tape, x->rank, x->shape);
    copy_values(copy, x);
    return copy;
}

void t_assign(Tensor *to, const Tensor *from)
{
    const Tape *tape = to->tape ? to->tape : from->tape;
    if (!t_has_shape(to, from->rank, from->shape))
        op_misuse(tape, "t_assign", "%s does not fit into %s", t_text(from), t_text(to));
    if (to->tape && tape_recording(to->tape) && from->storage->wants_grad)
        op_misuse(tape, "t_assign",
                  "gradients would be cut: a cache cannot be used while recording");
    copy_values(to, from);
    to->storage->writes++;
}

Tensor *t_keep_grad(Tensor *x)
{
    x->storage->keeps_grad = true;
    if (!x->storage->origin)
        x->storage->wants_grad = true;
    if (!x->tape && !x->storage->grad) /* a state outlives the memory of any tape */
        x->storage->grad = lasting_floats(x->storage->size);
    return x;
}

float *t_grad(const Tensor *x)
{
    return x->storage->grad ? x->storage->grad + (x->data - x->storage->data) : NULL;
}
