/* optim.h - from gradients to better parameters: AdamW, Muon, clipping, schedules. */
#ifndef LINEAGE_OPTIM_H
#define LINEAGE_OPTIM_H

#include "nn/nn.h"

/* Two rules. AdamW (Loshchilov and Hutter 2019, algorithm 2) moves every parameter at a
 * pace of its own. Muon (Jordan and others 2024) moves a matrix by an orthogonal matrix
 * instead: a step that is equally long in every direction the gradient has, not only in the
 * few in which it is large. That suits matrices that multiply, and those alone: with
 * OPTIMIZER_MUON it moves the parameters made by param_matrix, such as the weights of linear
 * layers, and AdamW moves all others: embeddings, of whose rows a batch needs few,
 * recurrent weights, and vectors.
 *
 * Weight decay, theta -= rate * decay * theta, is applied by both rules to the parameters of
 * two dimensions or more, embeddings included, except those marked by no_decay; not to
 * vectors, which are biases and the gains of norms.
 *
 * Parameters that do not learn, because they were frozen, have no moments and are left as
 * they are. */
typedef enum { OPTIMIZER_ADAMW, OPTIMIZER_MUON } OptimizerKind;
enum { MUON_TAPES = 4 }; /* so many threads can work on Muon's matrices */

typedef struct {
    OptimizerKind kind;
    Params *params;
    Params *moments; /* "m.<name>" and "v.<name>", for the checkpoint */
    Tensor **m, **v; /* of each parameter that learns; v is NULL where Muon rules */
    long steps;      /* taken so far; the bias correction depends on it */
    double beta1, beta2, epsilon, weight_decay;
    int *matrix, matrices;  /* the parameters where Muon does */
    Tape *tape[MUON_TAPES]; /* for its matrix products */
} Optimizer;

Optimizer *optimizer_new(OptimizerKind kind, Params *params, double beta1, double beta2,
                         double weight_decay);
void optimizer_free(Optimizer *optimizer);

/* One step with every gradient multiplied by `factor` first; then the gradients are zero
 * again. For AdamW clipping, update and clearing are one pass through memory. */
void optimizer_step(Optimizer *optimizer, double learning_rate, double factor);

/* The orthogonal matrix nearest to x (M, N), roughly: its singular values come to lie
 * between 0.7 and 1.2. On an inference tape. */
Tensor *orthogonalised(Tensor *x);

/* The length of all gradients taken as one vector; of the parameters that learn. */
double gradient_norm(const Params *params);

/* The name of the first parameter whose gradient is not finite; NULL if none. */
const char *gradient_first_nan(const Params *params);

/* The factor that brings a gradient of this norm down to `most`; 1 if it is there already,
 * or if `most` is 0. (PyTorch: clip_grad_norm_.) */
double clip_factor(double norm, double most);

typedef enum { SCHEDULE_COSINE, SCHEDULE_INVERSE_SQRT } ScheduleKind;

/* Linear warm-up over `warmup` steps, then half a cosine from `peak` down to `least` at
 * step `steps`, as nanoGPT has it. Steps count from 0. */
double cosine_schedule(long step, long steps, long warmup, double peak, double least);

/* Linear warm-up until step `warmup`, then falling as 1 / sqrt(step), for ever (Vaswani et
 * al. 2017, equation 3). Theirs is the one of peak 1 / sqrt(C warmup), at their steps, which
 * count from 1. A warm-up of 0 counts as 1: it has to fall from somewhere. */
double inverse_sqrt_schedule(long step, long warmup, double peak);

#endif
