package main

import (
	"context"

	"k8s.io/client-go/kubernetes"

	"github.com/argoproj/argo-cd/v3/util/session"
	"github.com/argoproj/argo-cd/v3/util/settings"
)

// initialize does what argocd-server does at its start.
func initialize(ctx context.Context, clients kubernetes.Interface) error {
	_, err := settings.NewSettingsManager(ctx, clients, namespace).InitializeSettings(true)
	return err
}

// decide says why Argo CD refuses a credential.
func decide(ctx context.Context, clients kubernetes.Interface, q *question) error {
	manager := settings.NewSettingsManager(ctx, clients, namespace)
	sessions := session.NewSessionManager(manager, nil, "", nil, session.NewUserStateStorage(nil))
	if q.Token == nil {
		return sessions.VerifyUsernamePassword(q.User, q.Password)
	}
	_, _, err := sessions.Parse(*q.Token)
	return err
}
