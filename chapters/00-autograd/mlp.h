/* mlp.h - a neuron, layers of neurons, and a problem for them: two moons. */
#ifndef LINEAGE_MLP_H
#define LINEAGE_MLP_H

#include "scalar/scalar.h"

/* Points on two half circles that reach into each other, a little scattered; label 1 for
 * one of them and -1 for the other. */
enum { POINTS = 100 };
typedef struct {
    double x[POINTS][2], label[POINTS];
} Moons;

Moons moons_new(unsigned seed);

/* Layers of neurons, each connected to all of the layer before it: sizes 2, 16, 16, 1. */
enum { LAYERS = 3 };
typedef struct {
    int size[LAYERS + 1];
    int count;   /* of the parameters */
    Scalar **at; /* for each neuron its weights, then its bias */
} Mlp;

/* Makes the parameters, and thus wants to be the first to write on the tape. */
Mlp mlp_new(Scalars *tape, int hidden, unsigned seed);

/* The score of a point: above 0 for label 1, below for -1. */
Scalar *mlp_score(const Mlp *mlp, Scalar **point);

/* The mean of max(0, 1 - label x score) over all points, plus a small price on the size of
 * the parameters: large weights would draw a needlessly crooked line. */
Scalar *mlp_loss(const Mlp *mlp, const Moons *moons);

/* One step of gradient descent down that loss; what was computed is forgotten. Returns the
 * loss before the step. */
double mlp_step(const Mlp *mlp, const Moons *moons, double rate);

/* How many points are on the right side. */
int mlp_right(const Mlp *mlp, const Moons *moons);

/* The score as an ordinary number. */
double mlp_value(const Mlp *mlp, double x, double y);

#endif
