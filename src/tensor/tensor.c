/* tensor.c - arrays of floats: how they are made. */
#include "tensor/tensor.h"
#include "tensor/op.h"
#include "tensor/packed.h"
#include "tensor/shapes.h"

#include <limits.h>
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

/* Their bytes, and twice as many, can still be counted. */
#define MOST_ELEMENTS (LONG_MAX / 8 < 1LL << 48 ? LONG_MAX / 8 : (long)(1LL << 48))

/* How many elements a shape has; arithmetic on shapes never overflows unnoticed. */
long shape_size(const Tape *tape, const char *name, int rank, const int *shape)
{
    long size = 1;
    if (rank < 0 || rank > MAX_RANK)
        op_misuse(tape, name, "%d dimensions are too many: at most %d", rank, MAX_RANK);
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0)
            op_misuse(tape, name, "%s has a negative size", shape_text(rank, shape));
        if (__builtin_mul_overflow(size, (long)shape[i], &size) || size > MOST_ELEMENTS)
            out_of_model_memory(SIZE_MAX, "a tensor");
    }
    return size;
}

void shape_set(Tensor *x, int rank, const int *shape)
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
    long size = shape_size(tape, "a tensor", rank, shape);
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
    shape_set(&both->tensor, rank, shape);
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
    *ids = (Ids){.tape = tape, .rank = rank, .size = shape_size(tape, "ids", rank, shape)};
    memcpy(ids->shape, shape, (size_t)rank * sizeof *shape);
    ids->at = tape_alloc(tape, (size_t)ids->size * sizeof(int));
    return ids;
}

static float *lasting_floats(long size)
{
    size_t bytes = ((size_t)size * sizeof(float) + T_ALIGNMENT) / T_ALIGNMENT * T_ALIGNMENT;
    float *floats = aligned_alloc(T_ALIGNMENT, bytes);
    if (!floats)
        out_of_model_memory(bytes, "a parameter");
    memset(floats, 0, bytes);
    return floats;
}

Tensor *t_lasting(bool wants_grad, int rank, const int *shape)
{
    long size = shape_size(NULL, "a parameter", rank, shape);
    Tensor *x = allocate(1, sizeof *x);
    x->storage = allocate(1, sizeof *x->storage);
    x->storage->size = size;
    x->storage->data = x->data = lasting_floats(size);
    x->storage->wants_grad = x->storage->keeps_grad = wants_grad;
    x->storage->grad = wants_grad ? lasting_floats(size) : NULL;
    shape_set(x, rank, shape);
    return x;
}

Tensor *t_waiting(int rank, const int *shape)
{
    Tensor *x = allocate(1, sizeof *x);
    x->storage = allocate(1, sizeof *x->storage);
    x->storage->size = shape_size(NULL, "a parameter", rank, shape);
    shape_set(x, rank, shape);
    return x;
}

/* Gives a parameter other numbers; views of it, whenever they were taken, follow. */
static void put_numbers(Tensor *x, float *floats, Packing packing, const uint16_t *packed,
                        bool lent)
{
    Storage *s = x->storage;
    if (!s->lent)
        free(s->data);
    s->data = x->data = floats;
    s->packing = packing;
    s->packed = packed;
    s->lent = lent;
    s->writes++;
    for (Tensor *view = s->views; view; view = view->next)
        view->data = floats ? floats + view->offset : NULL;
}

void t_lend(Tensor *x, Packing packing, const void *numbers)
{
    if (x->storage->wants_grad || x->offset)
        misuse("t_lend: only a parameter that does not learn can borrow its numbers");
    if (packing == PACKING_NONE)
        put_numbers(x, (float *)numbers, packing, NULL, true);
    else
        put_numbers(x, NULL, packing, numbers, true);
}

float *t_own(Tensor *x)
{
    if (!x->storage->data || x->storage->lent)
        put_numbers(x, lasting_floats(x->storage->size), PACKING_NONE, NULL, false);
    return x->data;
}

void t_need_floats(const Tape *tape, const char *name, const Tensor *x)
{
    if (x->data)
        return;
    if (x->storage->packed)
        op_misuse(tape, name,
                  "%s is packed: only t_rows reads that, and t_matmul and t_affine on "
                  "their right side",
                  t_text(x));
    op_misuse(tape, name, "the parameter %s has no numbers yet: load them first",
              t_text(x));
}

void t_lasting_free(Tensor *x)
{
    for (Tensor *view = x->storage->views, *next; view; view = next) {
        next = view->next;
        free(view);
    }
    if (!x->storage->lent)
        free(x->storage->data);
    free(x->storage->grad);
    free(x->storage);
    free(x);
}

/* ---- Shapes ---- */

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

long t_place(const Tensor *x, long i)
{
    long place = 0;
    for (int d = x->rank - 1; d >= 0; d--) {
        place += i % x->shape[d] * x->stride[d];
        i /= x->shape[d];
    }
    return place;
}

float t_item(const Tensor *x)
{
    if (t_size(x) != 1)
        op_misuse(x->tape, "t_item", "%s is not a single number", t_text(x));
    t_need_floats(x->tape, "t_item", x);
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

/* ---- Gradients ---- */

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
