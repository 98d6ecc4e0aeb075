//go:build tools

// Package tools pins the helm client that the integration tests run.
package tools

import _ "helm.sh/helm/v3/cmd/helm"
