/* mlp_tensors.c - the same network on the same points, with whole layers for nodes. */
#include "mlp_tensors.h"
#include "tensor/ops.h"

#include <string.h>

TensorMlp tensor_mlp_like(const Mlp *mlp)
{
    TensorMlp t = {.params = params_new(0)};
    Scalar **from = mlp->at;
    for (int l = 0; l < LAYERS; l++) {
        int in = mlp->size[l], out = mlp->size[l + 1];
        Scope s = under(scope(t.params), "layer.%d", l);
        t.layer[l] = linear_new(s, in, out, constant(0));
        float *weight = t.layer[l].weight->storage->data, *bias = t.layer[l].bias->data;
        for (int neuron = 0; neuron < out; neuron++) {
            for (int i = 0; i < in; i++)
                *weight++ = (float)(*from++)->value;
            *bias++ = (float)(*from++)->value;
        }
    }
    return t;
}

void tensor_mlp_free(TensorMlp *mlp)
{
    params_free(mlp->params);
}

Tensor *tensor_mlp_loss(const TensorMlp *mlp, Tape *tape, const Moons *moons)
{
    Tensor *x = t_empty(tape, POINTS, 2), *label = t_empty(tape, POINTS, 1);
    Tensor *one = t_empty(tape, 1);
    for (int i = 0; i < POINTS; i++) {
        x->data[2 * i] = (float)moons->x[i][0];
        x->data[2 * i + 1] = (float)moons->x[i][1];
        label->data[i] = (float)moons->label[i];
    }
    one->data[0] = 1;

    for (int l = 0; l < LAYERS; l++) {
        x = linear(&mlp->layer[l], x);
        if (l + 1 < LAYERS)
            x = t_relu(x);
    }
    Tensor *loss = t_mean_all(t_relu(t_sub(one, t_mul(t_shaped(x, POINTS, 1), label))));
    for (int i = 0; i < mlp->params->count; i++) {
        Tensor *p = t_on(tape, mlp->params->item[i].tensor);
        loss = t_add(loss, t_scale(t_sum_all(t_mul(p, p)), 1e-4f));
    }
    return loss;
}

double tensor_mlp_step(const TensorMlp *mlp, Tape *tape, const Moons *moons, double rate)
{
    tape_reset(tape, 0);
    Tensor *loss = tensor_mlp_loss(mlp, tape, moons);
    backward(loss);
    for (int i = 0; i < mlp->params->count; i++) {
        Storage *s = mlp->params->item[i].tensor->storage;
        for (long j = 0; j < s->size; j++)
            s->data[j] -= (float)rate * s->grad[j];
        memset(s->grad, 0, (size_t)s->size * sizeof *s->grad);
    }
    return (double)t_item(loss);
}
