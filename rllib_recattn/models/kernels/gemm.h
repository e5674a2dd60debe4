// Products of small dense matrices. A model's are too small for the libraries behind PyTorch: these take as long to
// prepare a product as to compute it, copy what is transposed, or do without a processor's widest instructions.
#pragma once

#include <cstdint>

namespace rllib_recattn {

// Element (i, j) is data[i * row + j * column].
template <typename T>
struct Matrix {
  const T* data;
  int64_t row, column = 1;

  Matrix transposed() const { return {data, column, row}; }
  const T* at(int64_t i, int64_t j) const { return data + i * row + j * column; }
};

template <typename T>
struct Epilogue {
  bool add = false;         // the product to what is in the result
  const T* bias = nullptr;  // [N]
  bool relu = false;        // of all that
};

// c [M, N] ← a [M, K] b [K, N], where `c_row` numbers lie between the starts of two rows of c.
template <typename T>
void multiply(int64_t m, int64_t n, int64_t k, Matrix<T> a, Matrix<T> b, T* c, int64_t c_row,
              Epilogue<T> epilogue = {});

}  // namespace rllib_recattn
