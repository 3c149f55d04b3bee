/* mlp_tensors.h - the same network on the same points, with whole layers for nodes. */
#ifndef LINEAGE_MLP_TENSORS_H
#define LINEAGE_MLP_TENSORS_H

#include "mlp.h"
#include "nn/nn.h"

typedef struct {
    Params *params;
    Linear layer[LAYERS]; /* stored (out, in): the rows are the neurons */
} TensorMlp;

/* With the numbers that the scalar network has at this moment. */
TensorMlp tensor_mlp_like(const Mlp *mlp);
void tensor_mlp_free(TensorMlp *mlp);

/* The same loss, on a tape. */
Tensor *tensor_mlp_loss(const TensorMlp *mlp, Tape *tape, const Moons *moons);

/* The same step of gradient descent. */
double tensor_mlp_step(const TensorMlp *mlp, Tape *tape, const Moons *moons, double rate);

#endif
