import Testing

@testable import Consoles

@Suite struct DoneWordsTests {
    /// The past of every verb that an operation of people begins with.
    private static let verbs = [
        "Accept": "Accepted", "Add": "Added", "Approve": "Approved", "Archive": "Archived", "Cancel": "Cancelled",
        "Change": "Changed", "Close": "Closed", "Confirm": "Confirmed", "Create": "Created",
        "Deactivate": "Deactivated", "Delete": "Deleted", "Deprovision": "Deprovisioned", "Disable": "Disabled",
        "Dismiss": "Dismissed", "Edit": "Edited", "Enable": "Enabled", "End": "Ended", "Grant": "Granted",
        "Invite": "Invited", "Keep": "Kept", "Open": "Opened", "Provision": "Provisioned", "Put": "Put",
        "Reactivate": "Reactivated", "Reassign": "Reassigned", "Recover": "Recovered", "Reject": "Rejected",
        "Replace": "Replaced", "Replay": "Replayed", "Report": "Reported", "Reset": "Reset", "Restart": "Restarted",
        "Restore": "Restored", "Retry": "Retried", "Revert": "Reverted", "Revoke": "Revoked", "Rotate": "Rotated",
        "Save": "Saved", "Send": "Sent", "Set": "Set", "Share": "Shared", "Start": "Started",
        "Suspend": "Suspended", "Take": "Took", "Transfer": "Transferred", "Withdraw": "Withdrew",
    ]

    @Test func `what was done is told in the past`() {
        for operation in Consoles.declared.operations where !operation.spec.systemOnly {
            let title = operation.spec.title
            let verb = String(title.prefix { $0 != " " })
            guard let past = Self.verbs[verb] else {
                Issue.record("\(operation.spec.name): “\(verb)” has no past here")
                continue
            }
            #expect(DoneWords.past(title) == past + title.dropFirst(verb.count))
        }
        #expect(DoneWords.past("Withdraw role") == "Withdrew role")
        #expect(DoneWords.past("Retry change") == "Retried change")
        #expect(DoneWords.past("Deactivate") == "Deactivated")
    }
}
