import Kernel

/// Has a worker start anew: whichever server runs it gives up what it holds, and the same one or another begins from what the
/// database says. Servers look once a second.
public enum RestartWorker: Operation {
    public typealias Target = Worker
    public static let spec = OperationSpec(
        "worker.restart", "Restart worker",
        summary: "Has a worker of the servers give up what it holds and start anew, on the same server or another one.",
        permission: "worker.restart", risk: .medium)

    public static func plan(_ call: Call<Self>) throws(Refusal) -> Plan<Worker> {
        var after = call.before
        after.restartedAt = call.now
        return Plan(after, consequence: "\(after.name.title) starts anew within a few seconds. \(after.name.effect)")
    }

    public static func undo(_ done: Done<Self>) -> Undo {
        .impossible("What was given up is begun again by itself; there is nothing to take back.")
    }
}
