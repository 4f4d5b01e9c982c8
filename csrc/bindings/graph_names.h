// The names of metrics and searches, as both extensions take them.
#pragma once

#include <string>

#include "core/errors.h"
#include "graph/graph.h"

namespace coremax::bindings {

inline graph::Metric parse_metric(const std::string& name) {
  if (name == "cosine") return graph::Metric::cosine;
  if (name == "dot") return graph::Metric::dot;
  if (name == "euclidean") return graph::Metric::euclidean;
  throw Error(ErrorKind::value, "metric must be 'cosine', 'dot' or 'euclidean', got '" + name + "'");
}

inline graph::Search parse_search(const std::string& name) {
  if (name == "direct") return graph::Search::direct;
  if (name == "coarse") return graph::Search::coarse;
  if (name == "fine") return graph::Search::fine;
  return graph::Search::automatic;
}

}  // namespace coremax::bindings
