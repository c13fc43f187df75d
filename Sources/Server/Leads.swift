import Synchronization

/// What this process does at the moment for all servers that share the database.
final class Leads: Sendable {
    /// Everything that one server does for all, beside the log's sequencer.
    enum Task: String, CaseIterable, Sendable { case chores, integrity }

    private let held = Mutex<Set<Task>>([])

    func set(_ task: Task, _ isHeld: Bool) {
        held.withLock { held in
            if isHeld { held.insert(task) } else { held.remove(task) }
        }
    }

    func holds(_ task: Task) -> Bool { held.withLock { $0.contains(task) } }
}
