package dynamodb

import (
	"context"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/table"
)

// updateTable changes billing, throughput, protection, the key of encryption, and global indexes, which are complete
// when the answer goes out. Source: DynamoDB API Reference, UpdateTable. What CreateTable refuses is refused here as
// well.
func (h *Handler) updateTable(ctx context.Context, c wire.Caller, in *input) (any, error) {
	name := in.table(c)
	in.refuse("OnDemandThroughput", "WarmThroughput", "ReplicaUpdates", "GlobalTableWitnessUpdates",
		"MultiRegionConsistency",
		"GlobalTableSettingsReplicationMode", "StreamSpecification", "TableClass", "VectorIndexUpdates",
		"DisassociationProtectionEnabled")
	change := table.Change{Attributes: in.attributes(), Billing: in.billing(), Throughput: in.throughput()}
	if in.has("DeletionProtectionEnabled") {
		change.Protected = new(in.boolean("DeletionProtectionEnabled"))
	}
	change.EncryptionKey = in.encryption(c)
	in.indexChanges(&change)
	if !in.has("BillingMode") && !in.has("ProvisionedThroughput") && !in.has("DeletionProtectionEnabled") &&
		!in.has("GlobalSecondaryIndexUpdates") && !in.has("SSESpecification") {
		in.fail(invalid("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or SSESpecification " +
			"or ReplicaUpdates is required"))
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	changed, err := h.tables.Change(ctx, name, change)
	if err != nil {
		return nil, err
	}
	answer := described(changed.Description, updating)
	for _, x := range change.Add {
		for i := range answer.GlobalSecondaryIndexes {
			if g := &answer.GlobalSecondaryIndexes[i]; g.IndexName == x.Name {
				g.IndexStatus, g.Backfilling = creating, new(true)
			}
		}
	}
	if changed.Removed != nil {
		x := indexOf(changed.Description, *changed.Removed)
		x.IndexStatus, x.ProvisionedThroughput = deleting, new(throughputOf(changed.Removed.Throughput))
		answer.GlobalSecondaryIndexes = append(answer.GlobalSecondaryIndexes, x)
	}
	return descriptionAnswer{answer}, nil
}

func (in *input) indexChanges(change *table.Change) {
	for _, u := range in.structures("GlobalSecondaryIndexUpdates") {
		create, update, del := u.structure("Create"), u.structure("Update"), u.structure("Delete")
		switch {
		case create != nil && update == nil && del == nil:
			change.Add = append(change.Add, create.index())
		case update != nil && create == nil && del == nil:
			update.need("IndexName", "ProvisionedThroughput")
			update.refuse("OnDemandThroughput", "WarmThroughput")
			if t := update.throughput(); t != nil {
				if change.Indexes == nil {
					change.Indexes = make(map[string]table.Throughput)
				}
				change.Indexes[update.text("IndexName")] = *t
			}
		case del != nil && create == nil && update == nil:
			del.need("IndexName")
			change.Remove = append(change.Remove, del.text("IndexName"))
		default:
			in.fail(invalid("One or more parameter values were invalid: One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, " +
				"GlobalSecondaryIndexUpdate.Delete must not be null"))
		}
	}
}
