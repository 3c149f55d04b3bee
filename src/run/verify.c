/* verify.c - the mechanism of a chapter, computed in scalars and in tensors, side by
 * side. */
#include "run/verify.h"

#include <math.h>
#include <stdio.h>

enum { MOST_SHOWN = 4 /* elements of an array; all are compared */ };

void verify_fill(Tensor *x, int number)
{
    for (long j = 0; j < t_size(x); j++)
        x->data[j] = (float)sin(1 + 7.0 * number + 3.0 * (double)j);
}

void verify_fill_all(Params *params)
{
    for (int i = 0; i < params->count; i++)
        verify_fill(params->item[i].tensor, i);
}

Scalar **verify_scalars(Scalars *tape, const Tensor *x)
{
    Scalar **scalar = s_array(tape, t_size(x));
    for (long i = 0; i < t_size(x); i++)
        scalar[i] = s_new(tape, (double)x->data[t_place(x, i)]);
    return scalar;
}

Grid verify_grid(Scalars *tape, const Tensor *x)
{
    int columns = x->shape[x->rank - 1];
    return (Grid){(int)(t_size(x) / columns), columns, verify_scalars(tape, x)};
}

/* Prints a twin, a line for each of its first elements. */
static void show(const Twin *twin, const float *grad)
{
    const Tensor *x = twin->tensor;
    long n = t_size(x);
    for (long i = 0; i < n && i < MOST_SHOWN; i++) {
        char name[64];
        snprintf(name, sizeof name, n > 1 ? "%s[%ld]" : "%s", twin->name, i);
        printf("  %-18s %13.8f %13.8f", name, twin->scalar[i]->value,
               (double)x->data[t_place(x, i)]);
        if (grad)
            printf("   %13.8f %13.8f", twin->scalar[i]->grad, (double)grad[t_place(x, i)]);
        putchar('\n');
    }
    if (n > MOST_SHOWN)
        printf("  %-18s and %ld more, not shown\n", "", n - MOST_SHOWN);
}

/* How far the values or, with `grad`, the gradients of a twin are apart, as a part of the
 * largest among them. Infinite as soon as one of them is no finite number. */
static double difference(const Twin *twin, const float *grad)
{
    const Tensor *x = twin->tensor;
    double most = 0, apart = 0;
    for (long i = 0; i < t_size(x); i++) {
        double a = grad ? twin->scalar[i]->grad : twin->scalar[i]->value;
        double b = (double)(grad ? grad : x->data)[t_place(x, i)];
        if (!isfinite(a) || !isfinite(b))
            return INFINITY;
        most = fmax(most, fabs(a));
        apart = fmax(apart, fabs(a - b));
    }
    return apart == 0 ? 0 : most > 0 ? apart / most : INFINITY;
}

bool verify_twins(const Twin *twins, int count)
{
    double worst = 0;
    const char *where = twins[0].name;
    long numbers = 0;
    printf("  %-18s %27s   %27s\n", "", "value", "gradient of the loss");
    printf("  %-18s %13s %13s   %13s %13s\n", "", "in scalars", "in tensors", "in scalars",
           "in tensors");
    for (int i = 0; i < count; i++) {
        const float *grad = t_grad(twins[i].tensor);
        show(&twins[i], grad);
        numbers += t_size(twins[i].tensor) * (grad ? 2 : 1);
        double apart = fmax(difference(&twins[i], NULL),
                            grad ? difference(&twins[i], grad) : 0);
        if (apart > worst) {
            worst = apart;
            where = twins[i].name;
        }
    }
    bool agree = worst <= 1e-5;
    printf("\n  %ld numbers compared, each in scalars and in tensors. The largest "
           "difference, in "
           "%s, is\n  %.1e of the largest entry: %s.\n",
           numbers, where, worst, agree ? "they agree" : "THEY DO NOT AGREE");
    return agree;
}
