/* nn.h - parameters that have names, and the layers that have no lesson of their own.
 *
 *     Params *params = params_new(seed);
 *     Scope top = scope(params), block = under(top, "h.%d", l);
 *     m->wte = param(top, "wte.weight", V, C, normal(0.02));
 *     m->fc = linear_new(under(block, "mlp.c_fc"), C, 4 * C, normal(0.02));
 *
 * One line makes a parameter: it is allocated, named, initialised and put on the list that
 * the optimizer, the checkpoint, `probe` and the table of parameters walk through. */
#ifndef LINEAGE_NN_H
#define LINEAGE_NN_H

#include "tensor/tensor.h"
#include <stdio.h>

/* How a parameter begins. The numbers depend on the seed and on its name alone. */
typedef struct {
    enum { INIT_CONSTANT, INIT_NORMAL, INIT_UNIFORM } kind;
    float size;
} Init;

Init normal(double deviation);
Init uniform(double bound); /* between -bound and bound */
Init constant(double value);

typedef struct {
    char *name;      /* "h.0.attn.c_attn.weight" */
    char *file_name; /* as the file had it that it was loaded from; NULL: the same */
    Tensor *tensor;
    Init init;
    bool multiplies; /* a matrix of a linear layer: Muon's; see optim.h */
    bool decays;     /* weight decay applies to it */
} Param;

typedef struct {
    Param *item;
    int count;
    uint64_t seed;
    double elements;   /* of all together */
    double bytes;      /* what they take, with all that learning needs */
    bool inference;    /* none of its parameters learns */
    struct Held *held; /* what lives as long as the list */
} Params;

Params *params_new(uint64_t seed);
void params_free(Params *params);
Tensor *params_find(const Params *params, const char *name); /* or NULL */

/* A list for sampling and measuring: no parameter made in it learns or has a gradient, and
 * none has numbers until a file gives them (checkpoint_load) or param_begin does. */
Params *params_for_inference(void);

/* The parameters whose names begin like this stop learning: they lose their gradients, the
 * optimizer leaves them alone, and backward does not compute gradients for them. Not to be
 * called between a forward pass and its backward. Mind that "h.10.weight" begins with "h.1"
 * as well: say "h.1.". Returns how many there are. */
int params_freeze(Params *params, const char *prefix);

/* `what` is released after the list: the file in which its parameters lie. */
void params_hold(Params *params, void *what, void (*release)(void *what));

/* Memory of its own for a parameter that has none so far (of an inference list), for its
 * numbers to be written to; or the memory that it has. */
float *param_own(Params *params, Param *param);

/* Gives a parameter the first numbers that a learning one begins with. */
void param_begin(Params *params, Param *param);

/* A table of names, shapes and sizes, with the total. Layers that repeat under a number
 * ("h.0.", "h.1.", ...) are shown once. */
void params_print(FILE *out, const Params *params);

/* Where in the hierarchy of names a parameter is made. A scope is a value: nothing is
 * opened and nothing has to be closed. */
typedef struct {
    Params *params;
    char prefix[96]; /* "h.0.attn." */
} Scope;

Scope scope(Params *params);
Scope under(Scope parent, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* param(scope, "weight", V, C, normal(0.02)): one to four sizes, the initialiser last. The
 * parameter belongs to the list. Two of one name are a mistake. */
#define param(...)                                          PARAM_PICK(__VA_ARGS__, param4, param3, param2, param1)(__VA_ARGS__)
#define PARAM_PICK(scope, name, a, b, c, d, e, chosen, ...) chosen
Tensor *param1(Scope scope, const char *name, int a, Init init);
Tensor *param2(Scope scope, const char *name, int a, int b, Init init);
Tensor *param3(Scope scope, const char *name, int a, int b, int c, Init init);
Tensor *param4(Scope scope, const char *name, int a, int b, int c, int d, Init init);

/* What the optimizer should know about a parameter is said where it is made. Without a word,
 * those of two dimensions or more decay and vectors, which are biases and the gains of
 * norms, do not; and Muon leaves all of them alone, embeddings included.
 *
 * param_matrix makes a matrix that multiplies, as the weight of a linear layer: Muon's.
 * no_decay takes a parameter of the list, returns it, and lets it not decay:
 *     m->A_log = no_decay(scope, param(scope, "A_log", D, N, constant(0)));
 * Where a file holds 16 bits, matrices stay packed for inference, as t_matmul and t_rows read
 * them; vectors, and what does not decay, become floats. */
Tensor *param_matrix(Scope scope, const char *name, int rows, int columns, Init init);
Tensor *no_decay(Scope scope, Tensor *param);

/* Something that lasts from step to step but does not learn: a cache, a recurrent state,
 * the moments of an optimizer. On a list of its own, so that it can be saved and freed. */
#define state_new(scope, name, ...) state_of(scope, name, T_INTS(__VA_ARGS__))
Tensor *state_of(Scope scope, const char *name, int rank, const int *shape);

/* ---- Layers ---- */

/* x w + b. The weight is kept as the files of the chapter's tradition keep it, and always
 * seen as (in, out). Bias is NULL where there is none. */
typedef struct {
    Tensor *weight, *bias;
} Linear;

Linear linear_new(Scope scope, int in, int out, Init weight); /* stored (out, in) */
Linear linear_new_by_input(Scope scope, int in, int out,
                           Init weight); /* stored (in, out) */
Linear linear_new_unbiased(Scope scope, int in, int out,
                           Init weight);    /* stored (out, in) */
Tensor *linear(const Linear *l, Tensor *x); /* (..., in) -> (..., out) */

typedef struct {
    Tensor *weight, *bias;
    float epsilon;
} LayerNorm;

LayerNorm layer_norm_new(Scope scope, int C, float epsilon);
Tensor *layer_norm(const LayerNorm *n, Tensor *x); /* (..., C) -> (..., C) */

typedef struct {
    Tensor *weight;
    float epsilon;
} RmsNorm;

RmsNorm rms_norm_new(Scope scope, int C, float epsilon);
Tensor *rms_norm(const RmsNorm *n, Tensor *x); /* (..., C) -> (..., C) */

#endif
