package iam

import "github.com/shardmill/shardmill/api/wire"

// absent refuses what AWS IAM has and this room does not.
const absent = wire.Absent("iam")

// operation is a row of the model; a nil answer is one without a result.
type operation = wire.Operation[*Handler, *request]

// model is what AWS IAM has.
var model = wire.Model[operation]{Absent: absent, Others: others, Served: map[string]operation{
	"AttachRolePolicy":            {Serve: (*Handler).attachRolePolicy},
	"CreatePolicy":                {Serve: (*Handler).createPolicy},
	"CreatePolicyVersion":         {Serve: (*Handler).createPolicyVersion},
	"CreateRole":                  {Serve: (*Handler).createRole},
	"DeletePolicy":                {Serve: (*Handler).deletePolicy},
	"DeletePolicyVersion":         {Serve: (*Handler).deletePolicyVersion},
	"DeleteRole":                  {Serve: (*Handler).deleteRole},
	"DeleteRolePolicy":            {Serve: (*Handler).deleteRolePolicy},
	"DetachRolePolicy":            {Serve: (*Handler).detachRolePolicy},
	"GetPolicy":                   {Serve: (*Handler).getPolicy},
	"GetPolicyVersion":            {Serve: (*Handler).getPolicyVersion},
	"GetRole":                     {Serve: (*Handler).getRole},
	"GetRolePolicy":               {Serve: (*Handler).getRolePolicy},
	"ListAttachedRolePolicies":    {Serve: (*Handler).listAttachedRolePolicies},
	"ListInstanceProfilesForRole": {Serve: (*Handler).listInstanceProfilesForRole},
	"ListPolicies":                {Serve: (*Handler).listPolicies},
	"ListPolicyTags":              {Serve: (*Handler).listPolicyTags},
	"ListPolicyVersions":          {Serve: (*Handler).listPolicyVersions},
	"ListRolePolicies":            {Serve: (*Handler).listRolePolicies},
	"ListRoleTags":                {Serve: (*Handler).listRoleTags},
	"ListRoles":                   {Serve: (*Handler).listRoles},
	"PutRolePolicy":               {Serve: (*Handler).putRolePolicy},
	"SetDefaultPolicyVersion":     {Serve: (*Handler).setDefaultPolicyVersion},
	"TagPolicy":                   {Serve: (*Handler).tagPolicy},
	"TagRole":                     {Serve: (*Handler).tagRole},
	"UntagPolicy":                 {Serve: (*Handler).untagPolicy},
	"UntagRole":                   {Serve: (*Handler).untagRole},
	"UpdateAssumeRolePolicy":      {Serve: (*Handler).updateAssumeRolePolicy},
	"UpdateRole":                  {Serve: (*Handler).updateRole},
}}

// others are the operations that are not here.
const others = `
	AcceptDelegationRequest AcquireRole AddClientIDToOpenIDConnectProvider AddRoleToInstanceProfile AddUserToGroup AssociateDelegationRequest
	AttachGroupPolicy AttachUserPolicy ChangePassword CreateAccessKey CreateAccountAlias CreateDelegationRequest CreateGroup CreateInstanceProfile
	CreateLoginProfile CreateOpenIDConnectProvider CreateSAMLProvider CreateServiceLinkedRole CreateServiceSpecificCredential CreateUser
	CreateVirtualMFADevice DeactivateMFADevice DeleteAccessKey DeleteAccountAlias DeleteAccountPasswordPolicy DeleteGroup DeleteGroupPolicy
	DeleteInstanceProfile DeleteLoginProfile DeleteOpenIDConnectProvider DeleteRolePermissionsBoundary DeleteSAMLProvider DeleteSSHPublicKey
	DeleteServerCertificate DeleteServiceLinkedRole DeleteServiceSpecificCredential DeleteSigningCertificate DeleteUser DeleteUserPermissionsBoundary
	DeleteUserPolicy DeleteVirtualMFADevice DetachGroupPolicy DetachUserPolicy DisableOrganizationsRootCredentialsManagement
	DisableOrganizationsRootSessions DisableOutboundWebIdentityFederation EnableMFADevice EnableOrganizationsRootCredentialsManagement
	EnableOrganizationsRootSessions EnableOutboundWebIdentityFederation GenerateCredentialReport GenerateOrganizationsAccessReport
	GenerateServiceLastAccessedDetails GetAccessKeyLastUsed GetAccountAuthorizationDetails GetAccountPasswordPolicy GetAccountProperties
	GetAccountSummary GetContextKeysForCustomPolicy GetContextKeysForPrincipalPolicy GetCredentialReport GetDelegationRequest GetGroup GetGroupPolicy
	GetHumanReadableSummary GetInstanceProfile GetLoginProfile GetMFADevice GetOpenIDConnectProvider GetOrganizationsAccessReport
	GetOutboundWebIdentityFederationInfo GetRoleTemplateVersion GetSAMLProvider GetSSHPublicKey GetServerCertificate GetServiceLastAccessedDetails
	GetServiceLastAccessedDetailsWithEntities GetServiceLinkedRoleDeletionStatus GetUser GetUserPolicy ListAccessKeys ListAccountAliases
	ListAttachedGroupPolicies ListAttachedUserPolicies ListDelegationRequests ListEntitiesForPolicy ListGroupPolicies ListGroups ListGroupsForUser
	ListInstanceProfileTags ListInstanceProfiles ListMFADeviceTags ListMFADevices ListOpenIDConnectProviderTags ListOpenIDConnectProviders
	ListOrganizationsFeatures ListPoliciesGrantingServiceAccess ListSAMLProviderTags ListSAMLProviders ListSSHPublicKeys ListServerCertificateTags
	ListServerCertificates ListServiceSpecificCredentials ListSigningCertificates ListUserPolicies ListUserTags ListUsers ListVirtualMFADevices
	PutAccountProperties PutGroupPolicy PutRolePermissionsBoundary PutUserPermissionsBoundary PutUserPolicy RejectDelegationRequest
	RemoveClientIDFromOpenIDConnectProvider RemoveRoleFromInstanceProfile RemoveUserFromGroup ResetServiceSpecificCredential ResyncMFADevice
	SendDelegationToken SetSecurityTokenServicePreferences SimulateCustomPolicy SimulatePrincipalPolicy TagInstanceProfile TagMFADevice
	TagOpenIDConnectProvider TagSAMLProvider TagServerCertificate TagUser UntagInstanceProfile UntagMFADevice UntagOpenIDConnectProvider
	UntagSAMLProvider UntagServerCertificate UntagUser UpdateAccessKey UpdateAccountPasswordPolicy UpdateDelegationRequest UpdateGroup
	UpdateLoginProfile UpdateOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint UpdateRoleDescription UpdateSAMLProvider UpdateSSHPublicKey
	UpdateServerCertificate UpdateServiceSpecificCredential UpdateSigningCertificate UpdateUser UploadSSHPublicKey UploadServerCertificate
	UploadSigningCertificate`
