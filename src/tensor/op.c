/* op.c - operations: how they are recorded on a tape, and the way back along it. */
#include "tensor/op.h"
#include "tensor/packed.h"
#include "tensor/tape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    Tensor *tensor;
    int writes_seen; /* by its storage, when it was read */
    float *scratch;  /* in place of a gradient that nobody wants; for one backward */
} OpInput;

struct Op {
    const char *name;
    Tape *tape;
    void (*backward)(Op *);
    Op *before; /* the operation recorded before this one */
    bool recorded, may_be_infinite;
    bool in_place;  /* the last gradient may lie where that of the output does */
    bool passed_on; /* and there it lies */
    int inputs;
    OpInput *input;
    Tensor *output;
    void *saved;
    const char *text, *file;
    int line;
};

/* ---- Operations ---- */

Op *op_new(const char *name, void (*backward)(Op *), int inputs, Tensor *const *input)
{
    return op_new_packed(name, backward, inputs, input, -1);
}

Op *op_new_packed(const char *name, void (*backward)(Op *), int inputs,
                  Tensor *const *input, int packed)
{
    Tape *tape = NULL;
    for (int i = 0; i < inputs; i++) {
        if (tape && input[i]->tape && input[i]->tape != tape)
            op_misuse(tape, name, "inputs are on two different tapes");
        if (input[i]->tape)
            tape = input[i]->tape;
    }
    if (!tape)
        op_misuse(NULL, name, "no input is on a tape: begin with t_on(tape, parameter)");

    for (int i = 0; i < inputs; i++)
        if (i != packed || !input[i]->storage->packed)
            t_need_floats(tape, name, input[i]);
    profile_turn(tape->profile, name, PROFILE_FORWARD);
    Op *op = tape_alloc(tape, sizeof *op);
    *op = (Op){.name = name, .tape = tape, .backward = backward, .inputs = inputs};
    op->text = tape->text;
    op->file = tape->file;
    op->line = tape->line;
    op->input = tape_alloc(tape, (size_t)inputs * sizeof *op->input);
    for (int i = 0; i < inputs; i++) {
        op->input[i] = (OpInput){.tensor = input[i]};
        op->input[i].writes_seen = input[i]->storage->writes;
        op->recorded |= tape_recording(tape) && input[i]->storage->wants_grad;
    }
    return op;
}

void op_in_place(Op *op)
{
    op->in_place = true;
}

void op_may_be_infinite(Op *op)
{
    op->may_be_infinite = true;
}

Tensor *op_out_of(Op *op, int rank, const int *shape)
{
    Tensor *output = op->output = t_empty_of(op->tape, rank, shape);
    if (!op->recorded)
        return output;
    if (op->tape->finished)
        op_misuse(op->tape, op->name, "the tape has been through backward: reset it first");
    output->storage->wants_grad = true;
    output->storage->origin = op;
    op->before = op->tape->last;
    op->tape->last = op;
    return output;
}

Tensor *op_out_like(Op *op, const Tensor *x)
{
    return op_out_of(op, x->rank, x->shape);
}

Tape *op_tape(const Op *op)
{
    return op->tape;
}

void *op_save(Op *op, size_t bytes)
{
    return op->saved = tape_alloc(op->tape, bytes);
}

void *op_saved(const Op *op)
{
    return op->saved;
}

int op_inputs(const Op *op)
{
    return op->inputs;
}

const Tensor *op_input_shape(const Op *op, int i)
{
    return op->input[i].tensor;
}

const Tensor *op_output_shape(const Op *op)
{
    return op->output;
}

Tensor *op_input(const Op *op, int i)
{
    Tensor *x = op->input[i].tensor;
    if (x->storage->writes != op->input[i].writes_seen)
        op_misuse(op->tape, op->name,
                  "input %d, %s, was written to after it was read and before backward",
                  i + 1, t_text(x));
    return x;
}

Tensor *op_output(const Op *op)
{
    if (op->output->storage->writes != 0)
        op_misuse(op->tape, op->name, "the result, %s, was written to before backward",
                  t_text(op->output));
    return op->output;
}

/* ---- The way back ---- */

/* A gradient that was handed back: its own memory holds the link to the next. */
struct Spare {
    Spare *next;
    long size;
};

static float *spare_memory(Tape *tape, long size)
{
    size_t bytes = (size_t)size * sizeof(float);
    for (Spare **link = &tape->spare; *link; link = &(*link)->next)
        if ((*link)->size >= size && (*link)->size <= size + size / 4 + 64) {
            float *memory = (float *)*link;
            *link = (*link)->next;
            return memory;
        }
    return tape_alloc(tape, bytes < sizeof(Spare) ? sizeof(Spare) : bytes);
}

/* Memory for a gradient. */
static float *take_memory(Tape *tape, long size, bool clear)
{
    float *memory = spare_memory(tape, size);
    if (clear)
        memset(memory, 0, (size_t)size * sizeof *memory);
    else
        tape_spoil(memory, (size_t)size * sizeof *memory);
    return memory;
}

static void hand_back(Tape *tape, float *memory, long size)
{
    Spare *spare = (Spare *)memory;
    *spare = (Spare){tape->spare, size};
    tape->spare = spare;
}

float *op_borrow(Op *op, long floats)
{
    return take_memory(op->tape, floats, false);
}

void op_return(Op *op, float *borrowed, long floats)
{
    hand_back(op->tape, borrowed, floats);
}

bool op_wants(const Op *op, int i)
{
    return op->input[i].tensor->storage->wants_grad;
}

/* Whether x reads every element of its storage, and each of them once. */
static bool is_whole(const Tensor *x)
{
    for (int i = 0; i < x->rank; i++)
        if (x->stride[i] == 0 && x->shape[i] > 1)
            return false;
    return t_size(x) == x->storage->size;
}

/* Whether the gradient of input i, of which there is none yet, may lie where that of the
 * result does: nothing that comes after this input will read that one. */
static bool may_pass_on(const Op *op, int i)
{
    const Tensor *x = op->input[i].tensor, *y = op->output;
    bool may = op->in_place && !y->storage->keeps_grad &&
               t_has_shape(x, y->rank, y->shape) && is_whole(x);
    for (int d = 0; d < y->rank; d++)
        may = may && x->stride[d] == y->stride[d];
    for (int later = i + 1; later < op->inputs; later++)
        may = may && !op_wants(op, later);
    return may;
}

static float *take_scratch(Op *op, int i, bool clear)
{
    OpInput *input = &op->input[i];
    const Storage *storage = input->tensor->storage;
    if (!input->scratch)
        input->scratch = take_memory(op->tape, storage->size, clear);
    return input->scratch + (input->tensor->data - storage->data);
}

float *op_grad(Op *op, int i, bool *add)
{
    const Tensor *x = op->input[i].tensor;
    Storage *storage = x->storage;
    bool set = add && !storage->grad && is_whole(x);
    if (add)
        *add = !set;
    if (!storage->wants_grad)
        return take_scratch(op, i, !set);
    if (op->passed_on)
        op_misuse(op->tape, op->name,
                  "gradients must be asked for in the order of the inputs");
    if (set && may_pass_on(op, i)) {
        op->passed_on = true;
        storage->grad = op->output->storage->grad;
    } else if (!storage->grad)
        storage->grad = take_memory(op->tape, storage->size, !set);
    return t_grad(x);
}

const float *op_gout(const Op *op)
{
    return t_grad(op->output);
}

/* The gradient of the result has done its work when its operation has gone back. */
static void go_back(Tape *tape, Op *op)
{
    Storage *storage = op->output->storage;
    tape_note(tape, op->text, op->file, op->line);
    profile_turn(tape->profile, op->name, PROFILE_BACKWARD);
    op->backward(op);
    for (int i = 0; i < op->inputs; i++)
        if (op->input[i].scratch)
            hand_back(tape, op->input[i].scratch, op->input[i].tensor->storage->size);
    if (storage->keeps_grad)
        return;
    if (!op->passed_on)
        hand_back(tape, storage->grad, storage->size);
    storage->grad = NULL;
}

void backward(Tensor *loss)
{
    Tape *tape = loss->tape;
    if (!tape || !tape_recording(tape) || !loss->storage->wants_grad)
        op_misuse(tape, "backward", "nothing was recorded that the loss depends on");
    if (t_size(loss) != 1)
        op_misuse(tape, "backward", "the loss, %s, is not a single number", t_text(loss));
    if (tape->finished)
        op_misuse(tape, "backward", "called twice; tape_reset first");
    tape->finished = true;

    if (!loss->storage->grad)
        loss->storage->grad = take_memory(tape, loss->storage->size, true);
    *t_grad(loss) += 1;
    for (Op *op = tape->last; op; op = op->before)
        if (op->output->storage->grad) /* otherwise the loss does not depend on it */
            go_back(tape, op);
}

/* ---- What is not finite ---- */

typedef struct {
    bool nan, infinite;
} Oddities;

static Oddities oddities_in(const Tensor *x)
{
    Oddities found = {false, false};
    for (long i = 0, n = t_size(x); i < n; i++) {
        float value = x->data[t_place(x, i)];
        found.nan |= isnan(value) != 0;
        found.infinite |= isinf(value) != 0;
    }
    return found;
}

/* Whether the result has a NaN or an infinity that did not come in with an input. An input
 * that no operation made has nobody else to be blamed: a NaN in it counts as new, and so does
 * an infinity if it learns. */
static bool is_to_blame(const Op *op)
{
    Oddities out = oddities_in(op->output);
    bool nan_came_in = false, infinity_came_in = op->may_be_infinite;
    for (int i = 0; i < op->inputs && (out.nan || out.infinite); i++) {
        const Tensor *x = op->input[i].tensor;
        Oddities in = oddities_in(x);
        nan_came_in |= in.nan && x->storage->origin;
        infinity_came_in |= in.infinite && (x->storage->origin || !x->storage->wants_grad);
    }
    return (out.nan && !nan_came_in) || (out.infinite && !infinity_came_in && !nan_came_in);
}

const char *tape_first_nan(Tape *tape)
{
    static char place[512];
    const Op *first = NULL;
    for (const Op *op = tape->last; op; op = op->before)
        if (is_to_blame(op))
            first = op;
    if (!first)
        return NULL;
    snprintf(place, sizeof place, "%s %s%s%s", first->name, t_text(first->output),
             first->text ? ", after " : "", first->text ? first->text : "");
    return place;
}
