/* compare.c - the network in scalars and in tensors, side by side. */
#include "compare.h"
#include "mlp_tensors.h"
#include "run/verify.h"

#include <string.h>

/* The weights of a layer among the scalar parameters, without the biases between them. */
static Scalar **weights_of(const Mlp *mlp, int layer)
{
    Scalar **from = mlp->at;
    for (int l = 0; l < layer; l++)
        from += mlp->size[l + 1] * (mlp->size[l] + 1);
    int in = mlp->size[layer], out = mlp->size[layer + 1];
    Scalar **weights = s_array(from[0]->tape, (long)in * out);
    for (int neuron = 0; neuron < out; neuron++)
        memcpy(weights + neuron * in, from + neuron * (in + 1), (size_t)in * sizeof *from);
    return weights;
}

bool compare_networks(unsigned seed, float fault)
{
    Scalars *scalars = scalars_new();
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Moons moons = moons_new(seed);
    Mlp mlp = mlp_new(scalars, 5, seed);
    TensorMlp tensors = tensor_mlp_like(&mlp);
    tensors.layer[0].weight->data[0] += fault;
    Scalar *loss = mlp_loss(&mlp, &moons);
    Tensor *tensor_loss = tensor_mlp_loss(&tensors, tape, &moons);
    s_backward(loss);
    backward(t_keep_grad(tensor_loss));

    printf("A network of 2, 5, 5 and 1 neurons, in scalars and in tensors:\n\n");
    Twin twins[LAYERS + 1] = {{"loss", &loss, tensor_loss}};
    static const char *const names[LAYERS] = {"layer.0.weight", "layer.1.weight",
                                              "layer.2.weight"};
    for (int l = 0; l < LAYERS; l++)
        twins[l + 1] = (Twin){names[l], weights_of(&mlp, l),
                              t_transpose(tensors.layer[l].weight)};
    bool agree = verify_twins(twins, LAYERS + 1);
    putchar('\n');
    tensor_mlp_free(&tensors);
    tape_free(tape);
    scalars_free(scalars);
    return agree;
}
