/* bigram.c - the first language model: which character follows which. */
#include "bigram.h"
#include "tensor/ops.h"

#include <math.h>
#include <stdlib.h>

double *count_pairs(const Corpus *corpus, int V, double extra, bool unigram)
{
    double *count = allocate((size_t)V * (size_t)V, sizeof *count);
    for (long i = 0; i < (long)V * V; i++)
        count[i] = extra;
    for (long i = 1; i < corpus->train; i++) {
        int before = corpus->token[i - 1], after = corpus->token[i];
        for (int row = 0; row < V; row++)
            count[row * V + after] += unigram || row == before;
    }
    return count;
}

double *row_sums(const double *count, int V)
{
    double *sum = allocate((size_t)V, sizeof *sum);
    for (int i = 0; i < V * V; i++)
        sum[i / V] += count[i];
    return sum;
}

double counts_loss(const double *count, int V, const int *token, long from, long to)
{
    double *sum = row_sums(count, V), loss = 0;
    for (long i = from + 1; i < to; i++) {
        int before = token[i - 1], after = token[i];
        loss -= log(count[before * V + after] / sum[before]);
    }
    free(sum);
    return loss / (double)(to - from - 1);
}

Bigram bigram_new(int V)
{
    Bigram b = {.params = params_new(0)};
    b.logits = param(scope(b.params), "logits", V, V, constant(0));
    return b;
}

void bigram_free(Bigram *bigram)
{
    params_free(bigram->params);
}

Tensor *bigram_loss(const Bigram *bigram, Tape *tape, const Corpus *corpus)
{
    int n = (int)corpus->train - 1;
    Ids *before = ids_from(tape, corpus->token, n),
        *after = ids_from(tape, corpus->token + 1, n);
    return t_cross_entropy(t_rows(bigram->logits, before), after);
}

int bigram_next(const Bigram *bigram, int token, double chance)
{
    int V = bigram->logits->shape[0];
    const float *logits = bigram->logits->data + (long)token * V;
    double sum = 0;
    for (int j = 0; j < V; j++)
        sum += exp((double)logits[j]);
    double rest = chance * sum;
    for (int j = 0; j < V - 1; j++) {
        rest -= exp((double)logits[j]);
        if (rest < 0)
            return j;
    }
    return V - 1;
}
