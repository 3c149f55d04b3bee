/* mlp.c - a neuron, layers of neurons, and a problem for them: two moons. */
#include "mlp.h"
#include "base/random.h"

#include <math.h>

/* ---- The points ---- */

Moons moons_new(unsigned seed)
{
    Moons moons;
    for (unsigned i = 0; i < POINTS; i++) {
        double angle = 3.14159265358979 * (double)(i / 2) / (POINTS / 2 - 1);
        double side = i % 2 ? 1 : -1;
        double noise = 0.1;
        moons.x[i][0] = side * cos(angle) + (i % 2 ? 0 : 1);
        moons.x[i][1] = side * sin(angle) + (i % 2 ? 0 : 0.5);
        for (unsigned d = 0; d < 2; d++)
            moons.x[i][d] += noise * (double)random_normal(seed, d, i);
        moons.label[i] = side;
    }
    return moons;
}

/* ---- The network ---- */

Mlp mlp_new(Scalars *tape, int hidden, unsigned seed)
{
    Mlp mlp = {.size = {2, hidden, hidden, 1}};
    for (int l = 0; l < LAYERS; l++)
        mlp.count += mlp.size[l + 1] * (mlp.size[l] + 1);
    mlp.at = s_array(tape, mlp.count);

    int made = 0;
    for (int l = 0; l < LAYERS; l++)
        for (int neuron = 0; neuron < mlp.size[l + 1]; neuron++) {
            for (int i = 0; i < mlp.size[l]; i++) {
                /* Scores should begin about as large as the inputs. */
                double spread = sqrt(2.0 / mlp.size[l]);
                double weight = spread * (double)random_normal(seed, 2, (unsigned)made);
                mlp.at[made++] = s_new(tape, weight);
            }
            mlp.at[made++] = s_new(tape, 0);
        }
    return mlp;
}

/* The sum of weight x input, plus the bias, which follows the weights. */
static Scalar *neuron(Scalar **parameters, Scalar **input, int inputs)
{
    Scalar *sum = parameters[inputs];
    for (int i = 0; i < inputs; i++)
        sum = s_add(sum, s_mul(parameters[i], input[i]));
    return sum;
}

Scalar *mlp_score(const Mlp *mlp, Scalar **point)
{
    Scalar **parameters = mlp->at, **input = point;
    for (int l = 0; l < LAYERS; l++) {
        int inputs = mlp->size[l], outputs = mlp->size[l + 1];
        Scalar **output = s_array(point[0]->tape, outputs);
        for (int i = 0; i < outputs; i++, parameters += inputs + 1) {
            Scalar *sum = neuron(parameters, input, inputs);
            output[i] = l + 1 < LAYERS ? s_relu(sum) : sum;
        }
        input = output;
    }
    return input[0];
}

/* ---- Learning ---- */

Scalar *mlp_loss(const Mlp *mlp, const Moons *moons)
{
    Scalars *tape = mlp->at[0]->tape;
    Scalar *sum = s_new(tape, 0), *squares = s_new(tape, 0);
    for (int i = 0; i < POINTS; i++) {
        Scalar *point[2] = {s_new(tape, moons->x[i][0]), s_new(tape, moons->x[i][1])};
        Scalar *score = mlp_score(mlp, point);
        sum = s_add(sum, s_relu(s_plus(s_times(score, -moons->label[i]), 1)));
    }
    for (int i = 0; i < mlp->count; i++)
        squares = s_add(squares, s_mul(mlp->at[i], mlp->at[i]));
    return s_add(s_times(sum, 1.0 / POINTS), s_times(squares, 1e-4));
}

double mlp_step(const Mlp *mlp, const Moons *moons, double rate)
{
    Scalar *loss = mlp_loss(mlp, moons);
    double before = loss->value;
    s_backward(loss);
    for (int i = 0; i < mlp->count; i++)
        mlp->at[i]->value -= rate * mlp->at[i]->grad;
    scalars_rewind(mlp->at[0]->tape, mlp->count);
    return before;
}

double mlp_value(const Mlp *mlp, double x, double y)
{
    Scalars *tape = mlp->at[0]->tape;
    Scalar *point[2] = {s_new(tape, x), s_new(tape, y)};
    double score = mlp_score(mlp, point)->value;
    scalars_rewind(tape, mlp->count);
    return score;
}

int mlp_right(const Mlp *mlp, const Moons *moons)
{
    int right = 0;
    for (int i = 0; i < POINTS; i++)
        right += mlp_value(mlp, moons->x[i][0], moons->x[i][1]) * moons->label[i] > 0;
    return right;
}
