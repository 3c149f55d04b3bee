/* tensor.h - arrays of floats, the tape that remembers what was done to them, and the way
 * back along it.
 *
 *     Tape *tape = tape_new(TAPE_TRAINING, seed);
 *     for (long step = 0; step < steps; step++) {
 *         Tensor *loss = model(tape, ...);        // operations write themselves down
 *         backward(loss);                         // gradients arrive in the parameters
 *         optimizer_step(...);
 *         tape_reset(tape);                       // everything on the tape is gone
 *     }
 *
 * Who owns what. A tape owns every tensor made on it; tape_reset drops them all at once and
 * keeps the memory, so that after the first step nothing is allocated. Parameters belong to
 * no tape (see nn.h). A *view* is another way of reading the same storage; gradients belong
 * to the storage, so a view needs no backward of its own.
 *
 * An operation finds its tape in its inputs. Where it has only parameters to work on, bring
 * one of them in with t_on(tape, parameter). The operations are in ops.h; op.h is for those
 * who define new ones.
 *
 * Mistakes of the programmer, such as shapes that do not fit, abort with a sentence that
 * names the operation, the shapes, and the last t_shaped that held. */
#ifndef LINEAGE_TENSOR_H
#define LINEAGE_TENSOR_H

#include "base/error.h"
#include "tensor/profile.h"
#include <stdint.h>

enum { MAX_RANK = 6, T_ALIGNMENT = 64 /* bytes, of all data */ };

typedef struct Tape Tape;
typedef struct Tensor Tensor;
typedef struct Storage Storage;
typedef struct Op Op;

struct Storage {
    float *data;            /* `size` floats; NULL if packed, or not yet there */
    float *grad;            /* as many; NULL as long as no gradient has arrived */
    const uint16_t *packed; /* the numbers, where they are of 16 bits; see packed.h */
    enum Packing { PACKING_NONE, PACKING_F16, PACKING_BF16 } packing;
    bool lent; /* the numbers belong to somebody else, and are only read */
    long size;
    bool wants_grad; /* it is, or depends on, something that learns */
    bool keeps_grad; /* backward must not hand the gradient's memory back */
    int writes;      /* how often the data were written to after they were made */
    Op *origin;      /* the operation that made it; NULL for data and parameters */
    Tensor *views;   /* a parameter keeps its views here, to be used again */
};

/* Element (i, j, ...) is data[i * stride[0] + j * stride[1] + ...]. A stride of 0
 * repeats. */
struct Tensor {
    int rank, shape[MAX_RANK];
    long stride[MAX_RANK];
    float *data;
    long offset; /* of its first element in the storage */
    Storage *storage;
    Tape *tape;   /* NULL for a parameter */
    Tensor *next; /* the next view of the same parameter */
};

/* Token ids and other indices: contiguous, on a tape. */
typedef struct {
    Tape *tape;
    int rank, shape[MAX_RANK];
    long size;
    int *at;
} Ids;

/* ---- The tape ---- */

typedef enum {
    TAPE_INFERENCE, /* nothing is recorded, nothing dropped */
    TAPE_PROBE,     /* records, but drops nothing: gradients that can be repeated */
    TAPE_TRAINING   /* records, and dropout drops */
} TapeUse;

Tape *tape_new(TapeUse use, uint64_t seed);
void tape_free(Tape *tape);

/* Drops everything on the tape and begins anew as step `step`: random numbers depend on
 * (seed, step, how many draws this step has made) and on nothing else. */
void tape_reset(Tape *tape, long step);

bool tape_recording(const Tape *tape);
bool tape_training(const Tape *tape);

/* The stream of random numbers for one use: a different one at every call, the same ones
 * when the step is repeated. To be given to random.h along with tape_seed. */
uint64_t tape_draw(Tape *tape);
uint64_t tape_seed(const Tape *tape);

/* Memory that lives until the tape is reset, aligned for vectors, not cleared. A tape that
 * cannot get memory ends the program with a sentence and status 1. */
void *tape_alloc(Tape *tape, size_t bytes);

/* In inference, a block can give back what it no longer needs:
 *     Mark mark = tape_mark(tape);
 *     x = tape_keep(tape, mark, block(x));
 * drops all that was made since the mark except that one tensor, which moves. On a
 * recording tape everything is still needed and nothing happens. */
typedef struct {
    int chunk;
    size_t used;
} Mark;
Mark tape_mark(const Tape *tape);
Tensor *tape_keep(Tape *tape, Mark mark, Tensor *x);

/* Gradients of a single number with respect to everything that it depends on are *added*
 * to the gradients in the storages. Once per recording. A gradient that nothing will ask
 * for any more gives its memory back, unless t_keep_grad wants it. */
void backward(Tensor *loss);

/* From now on every operation tells the profile when its turn begins. NULL: no more. */
void tape_profile(Tape *tape, Profile *profile);

/* Remembers a place in the program, to be named if something goes wrong after it. */
void tape_note(Tape *tape, const char *text, const char *file, int line);

/* The name of the first operation on the tape that made a NaN, or an infinity, out of inputs
 * that had none, with its place; NULL when there is none. For the message that a NaN
 * deserves. The infinities of a mask are meant, and so are those that follow from them. */
const char *tape_first_nan(Tape *tape);

/* Remembers x, on its tape, under a label and a number, such as ("attention", layer): what a
 * model computes along the way can then be looked at without a change to the model. Returns
 * x. The label must stay where it is. A tape that does not record remembers nothing. */
Tensor *t_label(Tensor *x, const char *label, int number);

/* What was remembered last under that label and number since the tape was reset; NULL if
 * nothing was. */
Tensor *tape_labelled(const Tape *tape, const char *label, int number);

/* ---- Making tensors ---- */

/* The compiler counts the sizes: there is no terminator to forget. */
#define T_INTS(...)                                            \
    (int)(sizeof((int[]){__VA_ARGS__}) / sizeof(int)), (int[]) \
    {                                                          \
        __VA_ARGS__                                            \
    }

#define t_empty(tape, ...) t_empty_of(tape, T_INTS(__VA_ARGS__)) /* not cleared */
#define t_zeros(tape, ...) t_zeros_of(tape, T_INTS(__VA_ARGS__))
#define ids_new(tape, ...) ids_of(tape, T_INTS(__VA_ARGS__)) /* not cleared */
Tensor *t_empty_of(Tape *tape, int rank, const int *shape);
Tensor *t_zeros_of(Tape *tape, int rank, const int *shape);
Ids *ids_of(Tape *tape, int rank, const int *shape);

/* A tensor of no tape, cleared: a parameter (wants_grad: its gradient is allocated, and
 * cleared, at once) or a state that lives from step to step. Freed with its views. */
Tensor *t_lasting(bool wants_grad, int rank, const int *shape);
void t_lasting_free(Tensor *x);

/* A parameter or a state, seen from a tape. */
Tensor *t_on(Tape *tape, Tensor *x);

/* A copy, contiguous and detached: gradients end here. */
Tensor *t_snapshot(Tape *tape, const Tensor *x);

/* Copies the values of `from` into `to`, of the same shape; counts as a write. Not
 * recorded: if gradients would have to flow through it on a recording tape, that is a
 * mistake. */
void t_assign(Tensor *to, const Tensor *from);

/* Asks for the gradient of data (before use), or keeps that of a result past backward. */
Tensor *t_keep_grad(Tensor *x);

/* The gradient of the first element of x, to be read with the strides of x. NULL as long as
 * none has arrived. */
float *t_grad(const Tensor *x);

/* ---- Shapes ---- */

long t_size(const Tensor *x);    /* how many elements */
long t_rows_of(const Tensor *x); /* how many rows of the last dimension */
bool t_is_contiguous(const Tensor *x);
float t_item(const Tensor *x);         /* the value of a tensor of one element */
long t_place(const Tensor *x, long i); /* where element i, row by row, lies after data */

/* The shape that a and b broadcast to, all but their last `except` dimensions, which are
 * left to the caller; returns its rank, those included. Aborts in the name of `op` if they
 * do not. */
int t_broadcast(const char *op, const Tensor *a, const Tensor *b, int except, int *shape);

bool t_has_shape(const Tensor *x, int rank, const int *shape);

/* Returns x if its shape is the one given; aborts, showing the expression and both shapes,
 * if not. A comment about a shape rots; this runs. */
#define t_shaped(x, ...) t_shaped_at(x, T_INTS(__VA_ARGS__), #x, __FILE__, __LINE__)
Tensor *t_shaped_at(Tensor *x, int rank, const int *shape, const char *text,
                    const char *file, int line);

/* "(3, 4)"; the result is overwritten by the eighth call after it. */
const char *shape_text(int rank, const int *shape);
#define t_text(x) shape_text((x)->rank, (x)->shape)

/* ---- Views: the same storage, read differently ---- */

/* Dimensions in another order: t_permute(x, 0, 2, 1) is (B, T, C) -> (B, C, T). */
#define t_permute(x, ...) t_permute_to(x, T_INTS(__VA_ARGS__))
Tensor *t_permute_to(Tensor *x, int rank, const int *order);

Tensor *t_transpose(Tensor *x);                              /* swaps the last two */
Tensor *t_slice(Tensor *x, int dimension, int from, int to); /* from <= i < to */
Tensor *t_select(Tensor *x, int dimension, int index);       /* that dimension is gone */

/* Repeats dimensions of size 1; dimensions may be added in front. */
#define t_expand(x, ...) t_expand_to(x, T_INTS(__VA_ARGS__))
Tensor *t_expand_to(Tensor *x, int rank, const int *shape);

/* The same elements in the same order under another shape. A view where the strides allow
 * it, and a recorded copy where they do not. */
#define t_reshape(x, ...) t_reshape_to(x, T_INTS(__VA_ARGS__))
Tensor *t_reshape_to(Tensor *x, int rank, const int *shape);

Tensor *t_contiguous(Tensor *x); /* x itself, or a recorded copy */

#endif
