/* compare.c - the network in scalars and in tensors, side by side. */
#include "compare.h"
#include "mlp_tensors.h"
#include "base/random.h"
#include "run/verify.h"

#include <string.h>

/* Of each neuron of a layer its parameters number first .. first + count - 1; the bias comes
 * after the weights. */
static Scalar **of_neurons(const Mlp *mlp, int layer, int first, int count)
{
    Scalar **from = mlp->at;
    for (int l = 0; l < layer; l++)
        from += mlp->size[l + 1] * (mlp->size[l] + 1);
    int in = mlp->size[layer], out = mlp->size[layer + 1];
    Scalar **parts = s_array(from[0]->tape, (long)count * out);
    for (int neuron = 0; neuron < out; neuron++)
        memcpy(parts + neuron * count, from + neuron * (in + 1) + first,
               (size_t)count * sizeof *from);
    return parts;
}

/* They begin at 0, where their price and its gradient are 0, too. */
static void fill_biases(const Mlp *mlp, unsigned seed)
{
    for (int l = 0; l < LAYERS; l++) {
        Scalar **bias = of_neurons(mlp, l, mlp->size[l], 1);
        for (int neuron = 0; neuron < mlp->size[l + 1]; neuron++)
            bias[neuron]->value = (double)random_normal(seed, 3,
                                                        (unsigned)(10 * l + neuron));
    }
}

bool compare_networks(unsigned seed, float fault)
{
    Scalars *scalars = scalars_new();
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Moons moons = moons_new(seed);
    Mlp mlp = mlp_new(scalars, 5, seed);
    fill_biases(&mlp, seed);
    TensorMlp tensors = tensor_mlp_like(&mlp);
    tensors.layer[0].weight->data[0] += fault;
    Scalar *loss = mlp_loss(&mlp, &moons);
    Tensor *tensor_loss = tensor_mlp_loss(&tensors, tape, &moons);
    s_backward(loss);
    backward(t_keep_grad(tensor_loss));

    printf("A network of 2, 5, 5 and 1 neurons, in scalars and in tensors:\n\n");
    Twin twins[1 + 2 * LAYERS] = {{"loss", &loss, tensor_loss}};
    static const char *const names[LAYERS][2] = {{"layer.0.weight", "layer.0.bias"},
                                                 {"layer.1.weight", "layer.1.bias"},
                                                 {"layer.2.weight", "layer.2.bias"}};
    for (int l = 0; l < LAYERS; l++) {
        const Linear *layer = &tensors.layer[l];
        twins[1 + 2 * l] = (Twin){names[l][0], of_neurons(&mlp, l, 0, mlp.size[l]),
                                  t_transpose(layer->weight)};
        twins[2 + 2 * l] = (Twin){names[l][1], of_neurons(&mlp, l, mlp.size[l], 1),
                                  layer->bias};
    }
    bool agree = verify_twins(twins, 1 + 2 * LAYERS);
    putchar('\n');
    tensor_mlp_free(&tensors);
    tape_free(tape);
    scalars_free(scalars);
    return agree;
}
