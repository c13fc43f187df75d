import HTML
import Kernel

/// What the product tells of its customers and their people: by file, and by itself.
public enum RegistryConsole {
    public static let console = Console(
        "Registry",
        operations: [
            AnyOperation(ImportRegistryBatch.self), AnyOperation(FinishImport.self), AnyOperation(PutTenant.self),
            AnyOperation(PutUser.self), AnyOperation(PutMember.self), AnyOperation(RemoveMember.self),
            AnyOperation(PutBatch.self),
        ],
        runtime: RegistryRuntime.endpoints)
}
