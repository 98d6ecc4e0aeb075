{{- define "keyguard.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "keyguard" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-keyguard" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "keyguard.selectorLabels" -}}
app.kubernetes.io/name: keyguard
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "keyguard.labels" -}}
{{ include "keyguard.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: admission-webhook
app.kubernetes.io/part-of: keyguard
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "keyguard.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The Secret that the certificate is in. */}}
{{- define "keyguard.certificateSecret" -}}
{{- if eq .Values.certificates.mode "files" -}}
{{- .Values.certificates.files.secretName -}}
{{- else if eq .Values.certificates.mode "cert-manager" -}}
{{- printf "%s-tls" (include "keyguard.fullname" .) -}}
{{- else -}}
{{- .Values.certificates.selfManaged.secretName | default (printf "%s-certificates" (include "keyguard.fullname" .)) -}}
{{- end -}}
{{- end -}}

{{/* Not empty when Helm itself speaks to a cluster. `helm template`, and so Argo CD, looks nothing up. */}}
{{- define "keyguard.inCluster" -}}
{{- if lookup "v1" "Namespace" "" "kube-system" -}}true{{- end -}}
{{- end -}}

{{- define "keyguard.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "keyguard.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "keyguard.selfTestNamespace" -}}
{{- .Values.selfTest.namespace | default (first .Values.namespaces) | default "default" -}}
{{- end -}}

{{/* Rules of a role by which keyguard finds the workloads that use what is changed. */}}
{{- define "keyguard.rightsToLook" -}}
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [list]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [list]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list]
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
{{- end -}}

{{/* The scan has names and labels of its own: the webhook's Service must not find its pods. */}}
{{- define "keyguard.scanName" -}}
{{- printf "%s-scan" (include "keyguard.fullname" .) -}}
{{- end -}}

{{- define "keyguard.scanSelectorLabels" -}}
app.kubernetes.io/name: keyguard-scan
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "keyguard.scanLabels" -}}
{{ include "keyguard.scanSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: scan
app.kubernetes.io/part-of: keyguard
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The collector of records has names and labels of its own, as the scan has. */}}
{{- define "keyguard.auditName" -}}
{{- printf "%s-audit" (include "keyguard.fullname" .) -}}
{{- end -}}

{{- define "keyguard.auditSelectorLabels" -}}
app.kubernetes.io/name: keyguard-audit
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "keyguard.auditLabels" -}}
{{ include "keyguard.auditSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: audit
app.kubernetes.io/part-of: keyguard
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Rules of a role by which the scan sees the cluster, and writes PolicyReports. */}}
{{- define "keyguard.rightsToScan" -}}
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get]
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [argocd-cm]
  verbs: [list]
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets, replicasets]
  verbs: [list]
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: [list]
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [list]
{{- if ne .Values.scan.policyReports "none" }}
- apiGroups: [openreports.io]
  resources: [reports]
  verbs: [get, list, create, patch, delete]
- apiGroups: [wgpolicyk8s.io]
  resources: [policyreports]
  verbs: [get, list, create, patch, delete]
{{- end }}
{{- end -}}
