#!/bin/sh
# Applies a manifest with a new edition and waits with kubectl alone: kubectl-wait.sh shop.yaml shop shop 15m
# Exits with 0 only when the edition that spec names serves.
set -eu
manifest=$1 namespace=$2 app=$3 timeout=$4

field() { kubectl get elasticapp "$app" -n "$namespace" -o "jsonpath={$1}"; }

kubectl apply -f "$manifest"
# kubectl compares observedGeneration, so a condition from before the apply does not count.
kubectl wait elasticapp "$app" -n "$namespace" --for=condition=RollingOut=False --timeout="$timeout"

wanted=$(field .spec.edition) serves=$(field .status.edition)
if [ "$wanted" != "$serves" ]; then
  echo "$app: $wanted ended as $(field .status.rollout.phase): $(field .status.rollout.message); $serves serves" >&2
  exit 1
fi
echo "$app: $wanted serves"
