/* scalar.h - numbers that know their gradients.
 *
 * Reverse-mode automatic differentiation on single numbers, in double precision. This is
 * the definition of every gradient in the book: what the fast code of `ops` computes for
 * whole arrays is held to what these few lines compute one number at a time.
 *
 *     Scalars *tape = scalars_new();
 *     Scalar *a = s_new(tape, 2), *b = s_new(tape, -3);
 *     Scalar *c = s_add(s_mul(a, b), s_exp(a));
 *     s_backward(c);
 *     printf("%f %f\n", a->grad, b->grad);      // dc/da = b + exp(a), dc/db = a
 *     scalars_free(tape);
 *
 * Every operation writes down its result and, for each input, the derivative of the result
 * with respect to it. Going through that record backwards is the chain rule. The order is
 * what matters: a number may hand on its gradient only after all that use it have added
 * theirs, and the order in which numbers were made, reversed, guarantees that. */
#ifndef LINEAGE_SCALAR_H
#define LINEAGE_SCALAR_H

typedef struct Scalars Scalars; /* the tape: owns all numbers made on it */
typedef struct Scalar Scalar;

struct Scalar {
    double value;
    double grad;      /* d(what backward began at) / d(this); 0 until then */
    Scalar *input[2]; /* what it was computed from; NULL where there is none */
    double slope[2];  /* d(this) / d(input) */
    Scalars *tape;
};

Scalars *scalars_new(void);
void scalars_free(Scalars *tape);

/* Forgets all numbers but the first `count`, and keeps the memory for the next ones.
 * What learns is made first and stays; what is computed from it is forgotten after every
 * step. */
void scalars_rewind(Scalars *tape, long count);

/* How many numbers the tape holds. */
long scalars_count(const Scalars *tape);

Scalar *s_new(Scalars *tape, double value);

/* Room for n numbers. The tape owns it, and a rewind past this moment takes it back. */
Scalar **s_array(Scalars *tape, long n);

Scalar *s_add(Scalar *a, Scalar *b);
Scalar *s_sub(Scalar *a, Scalar *b);
Scalar *s_mul(Scalar *a, Scalar *b);
Scalar *s_div(Scalar *a, Scalar *b);
Scalar *s_max(Scalar *a, Scalar *b); /* of two equal numbers the first counts */

/* With one ordinary number. */
Scalar *s_plus(Scalar *a, double b);
Scalar *s_times(Scalar *a, double b);
Scalar *s_pow(Scalar *a, double exponent);

Scalar *s_neg(Scalar *a);
Scalar *s_exp(Scalar *a);
Scalar *s_log(Scalar *a);
Scalar *s_sqrt(Scalar *a);
Scalar *s_tanh(Scalar *a);
Scalar *s_sigmoid(Scalar *a);
Scalar *s_relu(Scalar *a); /* slope 0 at 0 */
Scalar *s_erf(Scalar *a);

/* Sets the grad of every number on the tape to d(result)/d(number): the gradients of an
 * earlier call are forgotten, not added to. */
void s_backward(Scalar *result);

#endif
