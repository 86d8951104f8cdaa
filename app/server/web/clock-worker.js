// @ts-check
// Timers of a worker; see clock.js for why. It gets [ticket, ms] and gives the ticket back.
onmessage = ({ data: [ticket, ms] }) => setTimeout(() => postMessage(ticket), ms);
