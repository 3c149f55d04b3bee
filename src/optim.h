/* optim.h - from gradients to better parameters: AdamW, clipping, schedules. */
#ifndef LINEAGE_OPTIM_H
#define LINEAGE_OPTIM_H

#include "nn.h"

/* AdamW (Loshchilov and Hutter 2019, algorithm 2). Weight decay applies to matrices,
 * embeddings included, and not to vectors, which are biases and the gains of norms. */
typedef struct {
    Params *params;
    Params *moments; /* "m.<name>" and "v.<name>", for the checkpoint */
    long steps;      /* taken so far; the bias correction depends on it */
    double beta1, beta2, epsilon, weight_decay;
} AdamW;

AdamW *adamw_new(Params *params, double beta1, double beta2, double weight_decay);
void adamw_free(AdamW *adam);

/* One step with every gradient multiplied by `factor` first; then the gradients are zero
 * again. Clipping, update and clearing are one pass through memory. */
void adamw_step(AdamW *adam, double learning_rate, double factor);

/* The length of all gradients taken as one vector. */
double gradient_norm(const Params *params);

/* The name of the first parameter whose gradient is not finite; NULL if none. */
const char *gradient_first_nan(const Params *params);

/* The factor that brings a gradient of this norm down to `most`; 1 if it is there already,
 * or if `most` is 0. (PyTorch: clip_grad_norm_.) */
double clip_factor(double norm, double most);

/* Linear warm-up over `warmup` steps, then half a cosine from `peak` down to `least` at
 * step `steps`, as nanoGPT has it. Steps count from 0. */
double cosine_schedule(long step, long steps, long warmup, double peak, double least);

#endif
