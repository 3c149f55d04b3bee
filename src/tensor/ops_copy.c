/* ops_copy.c - copies: recorded where a gradient has to find its way back, and not where one
 * ends. */
#include "tensor/op.h"
#include "tensor/packed.h"
#include "tensor/tape.h"
#include "tensor/walk.h"

#include <string.h>

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
    t_need_floats(to->tape, "copy", from);
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
    if (to->storage->lent)
        op_misuse(tape, "t_assign", "%s is only read: its numbers lie in a file",
                  t_text(to));
    t_need_floats(tape, "t_assign", to);
    if (to->tape && tape_recording(to->tape) && from->storage->wants_grad)
        op_misuse(tape, "t_assign",
                  "gradients would be cut: a cache cannot be used while recording");
    copy_values(to, from);
    to->storage->writes++;
}

/* Moves x to the mark. It lies after the mark, so moving its values down first, and
 * writing the new head after that, overwrites nothing that is still needed. */
Tensor *tape_keep(Tape *tape, Mark mark, Tensor *x)
{
    if (tape_recording(tape))
        return x;
    x = t_contiguous(x);
    Tensor head = *x;
    Storage storage = *x->storage;
    size_t bytes = (size_t)t_size(x) * sizeof(float);
    int last = tape->current;

    tape->current = mark.chunk;
    tape->used = mark.used;
    struct {
        Tensor tensor;
        Storage storage;
    } *both = tape_alloc(tape, sizeof *both);
    float *data = tape_alloc(tape, bytes);
    memmove(data, head.data, bytes);
    storage.data = head.data = data;
    storage.size = t_size(&head);
    storage.lent = false;
    head.offset = 0;
    both->storage = storage;
    both->tensor = head;
    both->tensor.storage = &both->storage;
    Mark kept = tape_mark(tape);
    tape->current = last;
    tape_drop_to(tape, kept);
    return &both->tensor;
}
