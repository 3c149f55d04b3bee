/* op.h - defining an operation, inside the library or outside.
 *
 * An operation is a function that computes its result and, if anything that learns went in,
 * leaves word on the tape of how to go back: a second function, which `backward` calls with
 * the gradient of the result. y = 2 x, for example:
 *
 *     static void double_backward(Op *op)
 *     {
 *         long n = t_size(op_output_shape(op));
 *         const float *dy = op_gout(op);
 *         float *dx = op_grad(op, 0, NULL);
 *         for (long i = 0; i < n; i++)
 *             dx[i] += 2 * dy[i];
 *     }
 *
 *     Tensor *t_double(Tensor *x)
 *     {
 *         x = t_contiguous(x);
 *         Op *op = t_op("double", double_backward, x);
 *         Tensor *y = op_out_like(op, x);
 *         for (long i = 0; i < t_size(x); i++)
 *             y->data[i] = 2 * x->data[i];
 *         return y;
 *     }
 *
 * Sums over many rows are made with parallel_sum (parallel.h), so that they do not depend on
 * the number of threads. */
#ifndef LINEAGE_OP_H
#define LINEAGE_OP_H

#include "tensor/tensor.h"

/* ---- On the way there ---- */

#define T_LIST(...)                                                           \
    (int)(sizeof((Tensor *[]){__VA_ARGS__}) / sizeof(Tensor *)), (Tensor *[]) \
    {                                                                         \
        __VA_ARGS__                                                           \
    }

/* Begins an operation: finds the tape among the inputs and checks that it is one. */
#define t_op(name, backward, ...) op_new(name, backward, T_LIST(__VA_ARGS__))
Op *op_new(const char *name, void (*backward)(Op *), int inputs, Tensor *const *input);

/* Declares that backward reads each element of the gradient of the result before it writes
 * the one in the same place of the gradient of the last input that wants one, and not after
 * that. Then these two may share their memory. */
void op_in_place(Op *op);

/* Declares that infinities in its result are meant, as those of a mask are: tape_first_nan
 * does not blame it for them. */
void op_may_be_infinite(Op *op);

/* Its result: a fresh contiguous tensor, not cleared; the operation is recorded here if any
 * input wants a gradient and the tape records. */
#define op_out(op, ...) op_out_of(op, T_INTS(__VA_ARGS__))
Tensor *op_out_of(Op *op, int rank, const int *shape);
Tensor *op_out_like(Op *op, const Tensor *x);

Tape *op_tape(const Op *op);

/* Memory for what backward will want to know; op_saved finds it again. */
void *op_save(Op *op, size_t bytes);
void *op_saved(const Op *op);

/* ---- On the way back ---- */

/* The tensors that went in and came out, with a check that nobody has written to them in
 * between: */
Tensor *op_input(const Op *op, int i);
Tensor *op_output(const Op *op);
int op_inputs(const Op *op);

/* their shapes alone, which need no check: */
const Tensor *op_input_shape(const Op *op, int i);
const Tensor *op_output_shape(const Op *op);

/* the gradient of the result; and whether input i wants a gradient. */
const float *op_gout(const Op *op);
bool op_wants(const Op *op, int i);

/* Where the gradient of input i belongs, to be read with the strides of the input; a scratch
 * area when it wants none. Ask for the inputs in their order, each once.
 *
 * With NULL the backward adds to what is there. Otherwise it is told whether to: where
 * nothing has been added yet, and the input reads every element of its storage once, *add
 * becomes false. Then the memory is not cleared, and every element must be written. It saves
 * a pass through memory, or two. */
float *op_grad(Op *op, int i, bool *add);

/* Memory that backward needs for a while, not cleared; it is to be returned. */
float *op_borrow(Op *op, long floats);
void op_return(Op *op, float *borrowed, long floats);

/* ---- Anywhere ---- */

/* A mistake: prints "name: sentence, after file:line: expression" and aborts. */
_Noreturn void op_misuse(const Tape *tape, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
