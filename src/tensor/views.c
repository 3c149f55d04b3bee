/* views.c - the many ways to read one storage. */
#include "tensor/op.h"
#include "tensor/shapes.h"

#include <stdlib.h>

static bool same_reading(const Tensor *a, const Tensor *b)
{
    if (a->rank != b->rank || a->offset != b->offset)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i] || a->stride[i] != b->stride[i])
            return false;
    return true;
}

/* Gives a view a place to live: on the tape of its tensor, or, for a parameter, beside the
 * parameter, where an equal view made earlier is used again. */
static Tensor *keep_view(Tensor view)
{
    if (view.tape) {
        Tensor *kept = tape_alloc(view.tape, sizeof view);
        *kept = view;
        return kept;
    }
    for (Tensor *old = view.storage->views; old; old = old->next)
        if (same_reading(old, &view))
            return old;
    Tensor *kept = allocate(1, sizeof view);
    *kept = view;
    kept->next = view.storage->views;
    view.storage->views = kept;
    return kept;
}

Tensor *t_on(Tape *tape, Tensor *x)
{
    Tensor view = *x;
    if (x->tape && x->tape != tape)
        op_misuse(tape, "t_on", "the tensor is on another tape");
    view.tape = tape;
    return keep_view(view);
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
    return keep_view(view);
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
    return keep_view(view);
}

/* x, read from a later element on. */
static Tensor begun_at(const Tensor *x, long elements)
{
    Tensor view = *x;
    view.offset += elements;
    view.data = x->data ? x->data + elements : NULL;
    return view;
}

Tensor *t_slice(Tensor *x, int dimension, int from, int to)
{
    if (dimension < 0 || dimension >= x->rank || from < 0 || from > to ||
        to > x->shape[dimension])
        op_misuse(x->tape, "t_slice", "%d .. %d of dimension %d is not within %s", from, to,
                  dimension, t_text(x));
    Tensor view = begun_at(x, from * x->stride[dimension]);
    view.shape[dimension] = to - from;
    return keep_view(view);
}

Tensor *t_select(Tensor *x, int dimension, int index)
{
    if (dimension < 0 || dimension >= x->rank || index < 0 || index >= x->shape[dimension])
        op_misuse(x->tape, "t_select", "number %d of dimension %d is not within %s", index,
                  dimension, t_text(x));
    Tensor view = begun_at(x, index * x->stride[dimension]);
    view.rank--;
    for (int i = dimension; i < view.rank; i++) {
        view.shape[i] = x->shape[i + 1];
        view.stride[i] = x->stride[i + 1];
    }
    return keep_view(view);
}

Tensor *t_expand_to(Tensor *x, int rank, const int *shape)
{
    Tensor view = *x;
    int added = rank - x->rank;
    shape_size(x->tape, "t_expand", rank, shape);
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
    return keep_view(view);
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

Tensor *t_reshape_to(Tensor *x, int rank, const int *shape)
{
    if (shape_size(x->tape, "t_reshape", rank, shape) != t_size(x))
        op_misuse(x->tape, "t_reshape", "%s has not as many elements as %s", t_text(x),
                  shape_text(rank, shape));
    Tensor view = *x;
    shape_set(&view, rank, shape);
    if (t_size(x) > 0 && !reshape_view(x, &view)) {
        x = t_contiguous(x);
        view = *x;
        shape_set(&view, rank, shape);
    }
    return keep_view(view);
}
