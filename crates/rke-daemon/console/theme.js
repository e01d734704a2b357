// Runs before the page is painted: a theme that was chosen earlier is there from the first moment.
document.documentElement.dataset.theme = localStorage.getItem('rke-theme') ?? 'system';
