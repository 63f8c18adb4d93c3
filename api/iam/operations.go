package iam

// operations are those that are here, by name.
var operations = map[string]operation{
	"AttachRolePolicy":            (*Handler).attachRolePolicy,
	"CreatePolicy":                (*Handler).createPolicy,
	"CreatePolicyVersion":         (*Handler).createPolicyVersion,
	"CreateRole":                  (*Handler).createRole,
	"DeletePolicy":                (*Handler).deletePolicy,
	"DeletePolicyVersion":         (*Handler).deletePolicyVersion,
	"DeleteRole":                  (*Handler).deleteRole,
	"DeleteRolePolicy":            (*Handler).deleteRolePolicy,
	"DetachRolePolicy":            (*Handler).detachRolePolicy,
	"GetPolicy":                   (*Handler).getPolicy,
	"GetPolicyVersion":            (*Handler).getPolicyVersion,
	"GetRole":                     (*Handler).getRole,
	"GetRolePolicy":               (*Handler).getRolePolicy,
	"ListAttachedRolePolicies":    (*Handler).listAttachedRolePolicies,
	"ListInstanceProfilesForRole": (*Handler).listInstanceProfilesForRole,
	"ListPolicies":                (*Handler).listPolicies,
	"ListPolicyTags":              (*Handler).listPolicyTags,
	"ListPolicyVersions":          (*Handler).listPolicyVersions,
	"ListRolePolicies":            (*Handler).listRolePolicies,
	"ListRoleTags":                (*Handler).listRoleTags,
	"ListRoles":                   (*Handler).listRoles,
	"PutRolePolicy":               (*Handler).putRolePolicy,
	"SetDefaultPolicyVersion":     (*Handler).setDefaultPolicyVersion,
	"TagPolicy":                   (*Handler).tagPolicy,
	"TagRole":                     (*Handler).tagRole,
	"UntagPolicy":                 (*Handler).untagPolicy,
	"UntagRole":                   (*Handler).untagRole,
	"UpdateAssumeRolePolicy":      (*Handler).updateAssumeRolePolicy,
	"UpdateRole":                  (*Handler).updateRole,
}

// absent are the other operations of the service's model.
const absent = `
	AcceptDelegationRequest AddClientIDToOpenIDConnectProvider AddRoleToInstanceProfile AddUserToGroup AssociateDelegationRequest AttachGroupPolicy
	AttachUserPolicy ChangePassword CreateAccessKey CreateAccountAlias CreateDelegationRequest CreateGroup CreateInstanceProfile CreateLoginProfile
	CreateOpenIDConnectProvider CreateSAMLProvider CreateServiceLinkedRole CreateServiceSpecificCredential CreateUser CreateVirtualMFADevice
	DeactivateMFADevice DeleteAccessKey DeleteAccountAlias DeleteAccountPasswordPolicy DeleteGroup DeleteGroupPolicy DeleteInstanceProfile
	DeleteLoginProfile DeleteOpenIDConnectProvider DeleteRolePermissionsBoundary DeleteSAMLProvider DeleteSSHPublicKey DeleteServerCertificate
	DeleteServiceLinkedRole DeleteServiceSpecificCredential DeleteSigningCertificate DeleteUser DeleteUserPermissionsBoundary DeleteUserPolicy
	DeleteVirtualMFADevice DetachGroupPolicy DetachUserPolicy DisableOrganizationsRootCredentialsManagement DisableOrganizationsRootSessions
	DisableOutboundWebIdentityFederation EnableMFADevice EnableOrganizationsRootCredentialsManagement EnableOrganizationsRootSessions
	EnableOutboundWebIdentityFederation GenerateCredentialReport GenerateOrganizationsAccessReport GenerateServiceLastAccessedDetails GetAccessKeyLastUsed
	GetAccountAuthorizationDetails GetAccountPasswordPolicy GetAccountSummary GetContextKeysForCustomPolicy GetContextKeysForPrincipalPolicy
	GetCredentialReport GetDelegationRequest GetGroup GetGroupPolicy GetHumanReadableSummary GetInstanceProfile GetLoginProfile GetMFADevice
	GetOpenIDConnectProvider GetOrganizationsAccessReport GetOutboundWebIdentityFederationInfo GetSAMLProvider GetSSHPublicKey GetServerCertificate
	GetServiceLastAccessedDetails GetServiceLastAccessedDetailsWithEntities GetServiceLinkedRoleDeletionStatus GetUser GetUserPolicy ListAccessKeys
	ListAccountAliases ListAttachedGroupPolicies ListAttachedUserPolicies ListDelegationRequests ListEntitiesForPolicy ListGroupPolicies ListGroups
	ListGroupsForUser ListInstanceProfileTags ListInstanceProfiles ListMFADeviceTags ListMFADevices ListOpenIDConnectProviderTags
	ListOpenIDConnectProviders ListOrganizationsFeatures ListPoliciesGrantingServiceAccess ListSAMLProviderTags ListSAMLProviders ListSSHPublicKeys
	ListServerCertificateTags ListServerCertificates ListServiceSpecificCredentials ListSigningCertificates ListUserPolicies ListUserTags ListUsers
	ListVirtualMFADevices PutGroupPolicy PutRolePermissionsBoundary PutUserPermissionsBoundary PutUserPolicy RejectDelegationRequest
	RemoveClientIDFromOpenIDConnectProvider RemoveRoleFromInstanceProfile RemoveUserFromGroup ResetServiceSpecificCredential ResyncMFADevice
	SendDelegationToken SetSecurityTokenServicePreferences SimulateCustomPolicy SimulatePrincipalPolicy TagInstanceProfile TagMFADevice
	TagOpenIDConnectProvider TagSAMLProvider TagServerCertificate TagUser UntagInstanceProfile UntagMFADevice UntagOpenIDConnectProvider UntagSAMLProvider
	UntagServerCertificate UntagUser UpdateAccessKey UpdateAccountPasswordPolicy UpdateDelegationRequest UpdateGroup UpdateLoginProfile
	UpdateOpenIDConnectProviderThumbprint UpdateRoleDescription UpdateSAMLProvider UpdateSSHPublicKey UpdateServerCertificate
	UpdateServiceSpecificCredential UpdateSigningCertificate UpdateUser UploadSSHPublicKey UploadServerCertificate UploadSigningCertificate`
