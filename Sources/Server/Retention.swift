import CommandLine
import Foundation
import Kernel
import Store

extension ServerInstallation {
    func prune(into folder: String?) async throws -> PruneResult {
        let deployment = try Deployment.load(environment: environment)
        let configuration = deployment.configuration
        var isFolder: ObjCBool = false
        if let folder, !FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) || !isFolder.boolValue {
            throw CommandFailure(.usage, "There is no folder \(folder). Make it first, on a disk that is kept.")
        }
        let key = try SecretKeys.load(configuration, makesMissing: false).log.verifier
        var storage = deployment.storage
        do {
            storage = try await deployment.serverStorage()
            let (database, _) = try storage.open(statementTimeout: .hours(1))
            do {
                guard try await Migrator.pending(database).isEmpty else {
                    throw CommandFailure(.refused, "The database is of another version. Run: postern migrate")
                }
                let pruner = Pruner(
                    database: database, store: SQLLogStore(), key: key,
                    periods: try RetentionPeriods(configuration.entry("retention")?.text ?? ""))
                let outcome = try await pruner.run(into: folder) { [terminal] outcome in
                    terminal.progress("\(folder == nil ? "Counting" : "Moving") events: \(outcome.total)")
                }
                terminal.endProgress()
                await database.close()
                return PruneResult(moved: outcome.moved, kept: outcome.kept, files: outcome.files)
            } catch {
                await database.close()
                throw error
            }
        } catch let damage as LogDamage {
            terminal.endProgress()
            throw CommandFailure(.refused, damage.description)
        } catch let error as NoteError {
            terminal.endProgress()
            throw CommandFailure(.refused, error.description)
        } catch {
            terminal.endProgress()
            throw CommandFailure(error, storage)
        }
    }
}
