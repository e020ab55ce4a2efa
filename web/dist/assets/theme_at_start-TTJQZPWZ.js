(()=>{var t="firn-theme";try{let e=localStorage.getItem(t);(e==="light"||e==="dark")&&(document.documentElement.dataset.theme=e)}catch{}})();
